"""The table: every workload with its peers, every limit of ours. A new row here is tested and measured."""

from bench.speed.array_gpt import ARRAY_GPT
from bench.speed.calls import CALL_ROWS
from bench.speed.chains import CHAINS
from bench.speed.elementwise import ELEMENTWISE
from bench.speed.estimators import ESTIMATORS
from bench.speed.first_call import FIRST_CALL
from bench.speed.growth import GROWTH
from bench.speed.lenet import LENET
from bench.speed.letters import LETTER_NETS
from bench.speed.memory import MEMORY
from bench.speed.moons import MOONS
from bench.speed.scalar_gpt import SCALAR_GPT
from bench.speed.seeds import SEEDS
from bench.speed.training import TRAINING
from bench.speed.workload import Probe, Row, Workload

WORKLOADS: list[Workload] = [
    *MOONS, SCALAR_GPT, *ARRAY_GPT, *CHAINS, *CALL_ROWS, *TRAINING, ELEMENTWISE, SEEDS, *LETTER_NETS, *LENET,
    *ESTIMATORS,
]  # fmt: skip
PROBES: list[Probe] = [FIRST_CALL, MEMORY, GROWTH]
ROWS: dict[str, Row] = {row.name: row for row in [*WORKLOADS, *PROBES]}
