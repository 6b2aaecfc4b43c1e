"""The table: every workload with its peers. A new row here is tested and measured."""

from bench.chains import CHAINS
from bench.moons import MOONS
from bench.training import TRAINING
from bench.workload import Workload

WORKLOADS: list[Workload] = [MOONS, *CHAINS, *TRAINING]
