"""All operations on whole arrays: importing this enters them in the tables, the basic ones first."""

from tinygrad_edu.core import shapes as shapes  # isort: skip
from tinygrad_edu.core import broadcasting as broadcasting  # isort: skip
from tinygrad_edu.core import reductions as reductions  # isort: skip
from tinygrad_edu.core import linalg as linalg  # isort: skip
from tinygrad_edu.core.arrays import chosen as chosen
from tinygrad_edu.core.arrays import contractions as contractions
from tinygrad_edu.core.arrays import conv as conv
from tinygrad_edu.core.arrays import convolutions as convolutions
from tinygrad_edu.core.arrays import diagonals as diagonals
from tinygrad_edu.core.arrays import factors as factors
from tinygrad_edu.core.arrays import linear_systems as linear_systems
from tinygrad_edu.core.arrays import missing as missing
from tinygrad_edu.core.arrays import polynomials as polynomials
from tinygrad_edu.core.arrays import pooling as pooling
from tinygrad_edu.core.arrays import rearrange as rearrange
from tinygrad_edu.core.arrays import recurrences as recurrences
from tinygrad_edu.core.arrays import scores as scores
from tinygrad_edu.core.arrays import sorting as sorting
from tinygrad_edu.core.arrays import special_arrays as special_arrays
from tinygrad_edu.core.arrays import statistics as statistics
from tinygrad_edu.core.losses import class_losses as class_losses
from tinygrad_edu.core.losses import losses as losses
from tinygrad_edu.core.writes import overwrite as overwrite
