"""Densities and distribution functions under SciPy's names, with gradients: `tg.stats.norm.logpdf(x, loc, scale)`.

x, the shape parameters, `loc` and `scale` may be numbers, arrays or Tensors; they broadcast, gradients reach all of
them, and `jit` compiles them. SciPy's own functions compute on plain numbers and would lose the gradient.
In reading order: `distribution`, what each row of the table becomes; `table`, the rows; `multivariate`, the densities
of vectors.

>>> import tinygrad_edu as tg
>>> from tinygrad_edu import stats
>>> round(stats.norm.logpdf(0.5), 6), round(stats.gamma.pdf(2.0, 3.0), 6)
(-1.043939, 0.270671)
>>> tg.grad(lambda scale: stats.norm.logpdf(2.0, 0.0, scale))(1.0)  # x² - 1
3.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_edu.elsewhere import habits
from tinygrad_edu.stats.multivariate import VECTORS
from tinygrad_edu.stats.table import TABLE

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = sorted([*TABLE, *VECTORS])

globals().update({**TABLE, **VECTORS})
__getattr__, __dir__ = habits(__name__, __all__)
