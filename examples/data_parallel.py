"""One training run on several processes or machines, by MPI: the same numbers as one process.

    pip install "tinygrad_edu[mpi]"
    mpiexec -n 2 python examples/data_parallel.py

Each rank computes the gradient of its half of a batch; one sum over the ranks a step, of gradient and loss together,
and all make the same update. On a cluster the one thing that changes is `mpiexec -n 64 -hostfile hosts`.
"""

try:
    from mpi4py import MPI
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: this program needs pip install "tinygrad_edu[mpi]"') from None

import tinygrad_edu as tg
from tinygrad_edu.data import moons
from tinygrad_edu.train import Checkpoint

comm = MPI.COMM_WORLD
X, y = moons(1000, seed=0)  # every rank holds all samples; only gradients are exchanged


def trained(**options):
    model = tg.nn.MLP([2, 32, 1], seed=1)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    return tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=20, batch_size=64, **options)


run = trained(comm=comm, callbacks=[Checkpoint("out/data_parallel.safetensors", every=5)])  # only rank 0 writes
if comm.rank == 0:
    alone = trained()
    print(run)
    difference = max(abs(run.loss_curve / alone.loss_curve - 1.0))
    print(f"{comm.size} ranks against one process: the losses differ by at most {difference:.0e} of themselves")
