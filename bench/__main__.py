"""`python -m bench [NAME ...] [--rounds N] [--out FILE]`: measure the workloads whose name contains a NAME."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

THREADS = 1  # of every peer; BLAS and OpenMP read it when they are loaded, so it is set before any import of NumPy
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = str(THREADS)


def main() -> None:
    from bench.report import markdown
    from bench.timing import measure
    from bench.workloads import WORKLOADS

    options = arguments()
    chosen = [w for w in WORKLOADS if any(name in w.name for name in options.names or [""])]
    if not chosen:
        raise SystemExit(f"no workload is called like that; there are: {', '.join(w.name for w in WORKLOADS)}")
    results = {}
    for workload in chosen:
        print(f"measuring {workload.name} ...", flush=True)
        results[workload.name] = measure(workload, options.rounds)
    text = markdown(chosen, results, THREADS)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(f"\n{text}\nwritten to {options.out}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of workloads; all when none is given")
    parser.add_argument("--rounds", type=int, help="runs of each peer, in place of the workload's own number")
    parser.add_argument("--out", type=Path, default=Path("out/bench.md"), help="where the table goes (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
