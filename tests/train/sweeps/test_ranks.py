"""`fit` on two ranks of MPI: the numbers of one process; what goes wrong on one rank ends both, in time, in words."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train import Run

MPIEXEC = Path(sys.executable).with_name("mpiexec")  # from the wheel mpich
missing = importlib.util.find_spec("mpi4py") is None or not MPIEXEC.exists()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.optimized,
    pytest.mark.skipif(missing, reason="needs mpi4py and mpich: the extra mpi"),
]
SECONDS = 120
START = """
import json, os, signal, sys, time
import numpy as np
from mpi4py import MPI
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.train import Checkpoint
comm, rank = MPI.COMM_WORLD, MPI.COMM_WORLD.Get_rank()
with open("/proc/self/maps") as maps, open(os.environ["FOLDER"] + f"/shared_{rank}", "w") as file:
    file.writelines({line.split()[5] + "\\n" for line in maps if "/mpich_shm_" in line})
X, y = moons(33, seed=0)

def trained(make, size=[2, 5, 1], start=1, X=X, y=y, **settings):
    model = nn.MLP(size, seed=start, **settings.pop("model", {}))
    given = dict(loss="mse", epochs=4, batch_size=8, comm=comm, comm_timeout_s=60.0, compiled=False) | settings
    return fit(model, X, y, optimizer=make(model.parameters()), **given)

def told(error):
    print(f"rank {rank}: {type(error).__name__}: {error}", flush=True)

for name, code in json.loads(os.environ["PROGRAMS"]).items():
    sys.stdout = open(os.environ["FOLDER"] + f"/{name}_{rank}", "w", encoding="utf-8")  # in a pipe, lines would mix
    comm.Barrier()  # a rank that is late to begin is no rank that hangs
    exec(code, dict(globals()))
    sys.stdout.close()
"""


def on_ranks(programs, folder, ranks=2):
    """Return code, what each program printed, and standard error of one job that runs them in turn on so many ranks."""
    file, root = folder / "program.py", str(Path(__file__).parents[3])
    file.write_text(START, encoding="utf-8")
    texts = json.dumps({name: textwrap.dedent(code) for name, code in programs.items()})
    given = {**os.environ, "PYTHONPATH": root, "FOLDER": str(folder), "PROGRAMS": texts}
    command = [MPIEXEC, "-n", str(ranks), sys.executable, str(file)]
    done = subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, timeout=SECONDS)
    for file in folder.glob("shared_*"):  # shared memory, which killed ranks leave behind
        for path in file.read_text(encoding="utf-8").splitlines():
            Path(path).unlink(missing_ok=True)
    out = {name: [each.read_text(encoding="utf-8") for each in sorted(folder.glob(f"{name}_*"))] for name in programs}
    return done.returncode, {name: "".join(texts) for name, texts in out.items()}, done.stderr


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """What each of PROGRAMS printed, and their folder: one job for all, since two ranks take two seconds to begin."""
    folder = tmp_path_factory.mktemp("ranks")
    code, out, err = on_ranks(PROGRAMS, folder)
    assert code == 0, err
    return out | {"folder": folder}


MAKERS = {
    "SGD": "lambda p: optim.SGD(p, lr=0.1)",
    "momentum": "lambda p: optim.SGD(p, lr=0.1, momentum=0.9)",
    "Adam": "lambda p: optim.Adam(p, lr=0.02)",
}
WEIGHTS = np.where(np.arange(33) % 3 == 0, 0.0, np.arange(33.0))
OPTIONS = {
    "uneven": {"batch_size": 8},  # the last batch of 33 samples has one row, and rank 1 gets none of it
    "full": {"batch_size": 11},
    "all at once": {"batch_size": None},
    "weights": {"batch_size": 7, "sample_weight": WEIGHTS.tolist()},
    "one row": {"batch_size": 1},
    "clipped": {"batch_size": 8, "clip_norm": 0.1, "clip_value": 0.05},
    "early stopping": {"batch_size": 8, "validation": 0.2, "patience": 2, "tol": 0.5, "epochs": 20},
}


DISAGREE = {
    "seed": ("seed=rank", "rank 1 has seed=1, rank 0 has seed=0"),
    "epochs": ("epochs=4 + rank", "rank 1 has epochs=5, rank 0 has epochs=4"),
    "length": ("X=X[: 33 - rank], y=y[: 33 - rank]", "rank 1 has samples=32, rank 0 has samples=33"),
    "numbers": ("X=X + rank", "rank 1 has X (shape, CRC)"),
    "structure": ("size=[2, 5 + rank, 1]", "rank 1 has model"),
    "weights": ("start=1 + rank", "rank 1 has weights"),
    "one is refused": ("batch_size=8 - 8 * rank", "batch_size=0"),
    "Dropout": ('model={"dropout": 0.5}', "Dropout"),
    "BatchNorm": ('model={"norm": "batch"}', "BatchNorm"),
    "own loss": ("loss=lambda p, t: ((p - t) ** 2).sum()", "means over rows"),
    "a callback raises": ("callbacks=[lambda job: 1 / 0]", "ZeroDivisionError: division by zero"),
}
CASES = {
    "eager": [(m, o) for m in MAKERS for o in OPTIONS],
    "compiled": [*((m, "uneven") for m in MAKERS), ("momentum", "weights")],  # each is compiled on both ranks
}
NUMBERS = f"""
    makers, options = {{{", ".join(f'"{name}": {text}' for name, text in MAKERS.items())}}}, {OPTIONS!r}
    for m, o in CASES:
        run = trained(makers[m], accurate=True, **{{"compiled": COMPILED, **options[o]}})
        weights = [w.tolist() for w in run.model.state_dict().values()]
        told = [rank, m, o, run.loss_curve.tolist(), weights, run.stop_reason, run.how]
        print("@" + json.dumps(told), flush=True)
"""
SINGLE = """
    model = nn.MLP([2, 5, 1], seed=1)
    for p in model.parameters():
        p.data = p.data.astype(DTYPE)
    run = fit(model, X, y, loss="mse", epochs=4, batch_size=8, comm=comm, comm_timeout_s=60.0,
              optimizer=optim.Adam(model.parameters(), lr=0.02))
    print("@" + json.dumps(run.loss_curve.tolist()), flush=True)
"""
PROGRAMS = {
    "eager": NUMBERS.replace("CASES", repr(CASES["eager"])).replace("COMPILED", "False"),
    "compiled": NUMBERS.replace("CASES", repr(CASES["compiled"])).replace("COMPILED", "True"),
    "float32": SINGLE.replace("DTYPE", "'float32'"),
    "resumed": """
        adam = lambda p: optim.Adam(p, lr=0.02)
        file = os.environ["FOLDER"] + "/run.safetensors"
        trained(adam, epochs=2, callbacks=[Checkpoint(file)])
        comm.Barrier()  # rank 0 has written the file
        run = trained(adam, epochs=5, start=7, resume_from=file)
        print("@" + json.dumps(run.loss_curve.tolist()), flush=True)
    """,
    "interrupted": """
        def stopping(job):
            if len(job.losses) == 3:
                os.kill(os.getpid(), signal.SIGINT)  # in the middle of what follows: the next step
        run = trained(lambda p: optim.Adam(p, lr=0.02), epochs=100, callbacks=[stopping])
        weights = [w.tolist() for w in run.model.state_dict().values()]
        print("@" + json.dumps([run.n_epochs, run.stop_reason, weights]), flush=True)
    """,
    "failing": """
        class Failing(nn.MLP):
            calls = 0
            def forward(self, x):
                type(self).calls += 1
                if rank == 1 and self.calls == 7:
                    raise MemoryError("no room for the seventh batch")
                return super().forward(x)
        try:
            model = Failing([2, 5, 1], seed=1)
            before = model.state_dict()
            fit(model, X, y, loss="mse", epochs=4, batch_size=8, comm=comm, comm_timeout_s=60.0, compiled=False,
                optimizer=optim.SGD(model.parameters(), lr=0.1))
        except Exception as error:
            told(error)
        whole = all(np.isfinite(w).all() for w in model.state_dict().values())
        print(f"@{whole}", flush=True)
    """,
    "releases": """
        from tinygrad_edu.train.mpi import data_parallel
        release, data_parallel.release = data_parallel.release, lambda: f"0.{rank}"
        try:
            trained(lambda p: optim.SGD(p, lr=0.1))
        except Exception as error:
            told(error)
        data_parallel.release = release
    """,
    "disagree": f"""
        adam = {MAKERS["Adam"]}
        for call in [{", ".join(f"lambda: trained(adam, **dict({text}))" for text, _ in DISAGREE.values())}]:
            try:
                call()
            except Exception as error:
                told(error)
    """,
    "nan": """
        run = trained(lambda p: optim.SGD(p, lr=1e200), model={"activation": "relu"})
        print(f"@{run.n_epochs} {run.stop_reason}", flush=True)
    """,
    "own_nan": """
        class Masked(nn.Linear):
            def forward(self, x):
                z = super().forward(x)
                return np.where(z > 1e9, np.exp(1e9 + z * z), z)
        for compiled, ranks in ((True, comm), (False, comm), (False, None)):
            model = Masked(2, 1, rng=0)
            sgd = optim.SGD(model.parameters(), lr=0.1)
            given = {} if ranks is None else {"comm": comm}
            try:
                run = fit(model, X, y, loss="mse", optimizer=sgd, epochs=2, batch_size=8, compiled=compiled, **given)
                print(json.dumps(["", *run.loss_curve.round(9)]), flush=True)
            except Exception as error:
                print(json.dumps([f"{type(error).__name__}: {error}"]), flush=True)
    """,
}


def told_by(text):
    """What each rank printed after an @, in the order of the ranks."""
    return [json.loads(line[1:]) for line in text.splitlines() if line.startswith("@")]


@pytest.mark.parametrize("way", CASES)
def test_two_ranks_give_the_numbers_of_one_process(way, two_ranks):
    found = told_by(two_ranks[way])
    assert len(found) == 2 * len(CASES[way])
    X, y = moons(33, seed=0)
    for _, m, o, losses, weights, ending, how in found:
        model = nn.MLP([2, 5, 1], seed=1)
        settings = {"epochs": 4, **OPTIONS[o], "loss": "mse", "compiled": False}
        alone = fit(model, X, y, optimizer=eval(MAKERS[m])(model.parameters()), **settings)
        np.testing.assert_allclose(losses, alone.loss_curve, rtol=1e-12, err_msg=f"{m}, {o}")
        for ours, theirs in zip(weights, model.state_dict().values(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13, err_msg=f"{m}, {o}")
        assert ending == alone.stop_reason
        assert how.startswith(way)
        assert "on 2 ranks" in how


@pytest.mark.parametrize(("ranks", "dtype", "rtol"), [(3, "float64", 1e-12), (2, "float32", 2e-5)])
def test_more_ranks_and_float32(ranks, dtype, rtol, tmp_path, two_ranks):
    text = two_ranks[dtype] if ranks == 2 else None
    if text is None:
        code, out, err = on_ranks({dtype: SINGLE.replace("DTYPE", repr(dtype))}, tmp_path, ranks)
        assert code == 0, err
        text = out[dtype]
    model = nn.MLP([2, 5, 1], seed=1)
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    alone = fit(model, *moons(33, seed=0), loss="mse", epochs=4, batch_size=8, optimizer=optimizer, compiled=False)
    found = told_by(text)
    assert len(found) == ranks
    for losses in found:
        np.testing.assert_allclose(losses, alone.loss_curve, rtol=rtol)


def test_a_run_on_ranks_is_resumed_on_ranks_and_in_one_process(two_ranks):
    whole, resumed = (nn.MLP([2, 5, 1], seed=seed) for seed in (1, 7))
    X, y = moons(33, seed=0)
    given = {"loss": "mse", "epochs": 5, "batch_size": 8, "compiled": False}
    alone = fit(whole, X, y, optimizer=optim.Adam(whole.parameters(), lr=0.02), **given)
    assert len(told_by(two_ranks["resumed"])) == 2
    for losses in told_by(two_ranks["resumed"]):
        np.testing.assert_allclose(losses, alone.loss_curve, rtol=1e-12)
    file = str(two_ranks["folder"] / "run.safetensors")
    found = fit(resumed, X, y, optimizer=optim.Adam(resumed.parameters(), lr=0.02), resume_from=file, **given)
    np.testing.assert_allclose(found.loss_curve, alone.loss_curve, rtol=1e-12)


def test_ctrl_c_on_one_rank_ends_all_after_the_same_whole_epoch(two_ranks):
    first, second = told_by(two_ranks["interrupted"])
    assert first == second
    assert first[0] == 3
    assert "interrupted" in first[1]
    model = nn.MLP([2, 5, 1], seed=1)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    fit(model, *moons(33, seed=0), loss="mse", epochs=3, batch_size=8, optimizer=optimizer, compiled=False)
    for ours, theirs in zip(first[2], model.state_dict().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_a_rank_that_fails_in_the_middle_of_a_step_is_named_on_every_rank(two_ranks):
    out = two_ranks["failing"]
    assert "rank 1: MemoryError: no room for the seventh batch" in out
    assert (
        "rank 0: SettingError: comm: rank 1 of 2 could not compute its gradient, so all stop. Its error: MemoryE" in out
    )
    assert out.count("@True") == 2


def test_ranks_of_two_releases_do_not_begin(two_ranks):
    assert two_ranks["releases"].count("rank 1 has tinygrad_edu='0.1', rank 0 has tinygrad_edu='0.0'") == 2


def test_what_does_not_fit_is_an_error_on_every_rank(two_ranks):
    for rank in (0, 1):
        lines = [line for line in two_ranks["disagree"].splitlines() if line.startswith(f"rank {rank}: ")]
        assert len(lines) == len(DISAGREE)
        for line, (name, (_, words)) in zip(lines, DISAGREE.items(), strict=True):
            assert words in line or (words.endswith("zero") and "ZeroDivisionError" in line), (name, line)


def test_nan_stops_all_at_the_same_step_for_the_same_reason(two_ranks):
    first, second = [line for line in two_ranks["nan"].splitlines() if line.startswith("@")]
    assert first == second
    assert "became NaN or infinite" in first


def test_nan_of_the_compiled_gradient_alone_is_told_on_every_rank(two_ranks):
    lines = [json.loads(line) for line in two_ranks["own_nan"].splitlines() if line.startswith("[")]
    for first, *others in (lines[:3], lines[3:]):
        assert first[0].startswith("CompileError: epoch 1: the compiled gradient is 0 times infinity")
        assert others[0] == others[1]
        assert len(others[0]) == 3


@pytest.mark.parametrize(("end", "limit", "words"), [
    ("os.kill(os.getpid(), signal.SIGKILL)", 60.0, ""),
    ("time.sleep(600)", 3.0, "has waited 3 s for"),
])  # fmt: skip
def test_a_rank_that_dies_or_hangs_ends_the_job_and_leaves_a_whole_checkpoint(end, limit, words, tmp_path):
    program = f"""
        def loss_hook(model, count=[0]):
            call = type(model).__call__
            def counted(self, *x):
                count[0] += 1
                if rank == 1 and count[0] > 40:
                    {end}
                return call(self, *x)
            type(model).__call__ = counted
        loss_hook(nn.MLP([2, 5, 1]))
        trained(lambda p: optim.Adam(p), epochs=1000, comm_timeout_s={limit},
                callbacks=[Checkpoint({str(tmp_path / "run.safetensors")!r})])
    """
    code, out, err = on_ranks({"ending": program}, tmp_path)
    assert code != 0
    assert words in err, (code, out, err)
    assert Run.load(tmp_path / "run.safetensors").n_epochs >= 1


def test_what_is_no_communicator_is_refused():
    model = nn.MLP([2, 1], seed=0)
    with pytest.raises(SettingError, match=r"comm='world'.* MPI\.COMM_WORLD"):
        fit(model, *moons(8), loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=1, comm="world")
