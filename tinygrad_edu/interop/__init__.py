"""Networks of other libraries as networks of this one, and networks of this one as programs of other languages.

Read chain.py first (what both ways share: a network as a row of steps), then torch_modules.py, followed.py and
keras_models.py. None of these libraries is imported here, but for torch where a module of it is given: what is read
are their objects, or Keras' JSON. Outwards: prediction.py and programs.py (what is traced), javascript.py, c99.py,
c99_training.py, torch_weights.py, files.py (the door).
"""

from tinygrad_edu.interop.chain import Chain, Step
from tinygrad_edu.interop.files import export
from tinygrad_edu.interop.followed import from_torch
from tinygrad_edu.interop.keras_models import from_keras
from tinygrad_edu.interop.torch_weights import load_torch_state_dict, save_torch_state_dict, torch_state_dict

__all__ = [
    "Chain", "Step", "export", "from_keras", "from_torch", "load_torch_state_dict", "save_torch_state_dict",
    "torch_state_dict",
]  # fmt: skip
