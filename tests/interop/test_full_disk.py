"""A disk that fills up while a file is written: the old file stays whole, and no part of the new one is left."""

import contextlib
import sys

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

resource = pytest.importorskip("resource")  # only POSIX can limit the size of files


@contextlib.contextmanager
def files_of_at_most(size):
    """What a full disk does: writing more raises OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # otherwise a module imported here would be cached in a truncated file
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("before", [b"the old one", None])
@pytest.mark.parametrize("ending", ["c", "js", "mjs", "onnx", "safetensors"])
def test_export(ending, before, tmp_path):
    path, model = tmp_path / f"net.{ending}", nn.MLP([2, 3, 1])
    if before is not None:
        path.write_bytes(before)
    with files_of_at_most(100), pytest.raises(OSError, match="large"):
        tg.export(model, path)
    assert [x.name for x in tmp_path.iterdir()] == ([] if before is None else [path.name])
    assert before is None or path.read_bytes() == before
    tg.export(model, path)
    assert path.stat().st_size > 100
