"""The table: every workload with its peers, every limit of ours. A new row here is tested and measured."""

from bench.chains import CHAINS
from bench.elementwise import ELEMENTWISE
from bench.estimators import ESTIMATORS
from bench.first_call import FIRST_CALL
from bench.memory import MEMORY
from bench.moons import MOONS
from bench.seeds import SEEDS
from bench.training import TRAINING
from bench.workload import Probe, Row, Workload

WORKLOADS: list[Workload] = [*MOONS, *CHAINS, *TRAINING, ELEMENTWISE, SEEDS, *ESTIMATORS]
PROBES: list[Probe] = [FIRST_CALL, MEMORY]
ROWS: dict[str, Row] = {row.name: row for row in [*WORKLOADS, *PROBES]}
