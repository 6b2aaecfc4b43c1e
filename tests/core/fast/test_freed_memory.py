"""Arrays of a megabyte, freed and made again, come from memory that the process has: no page faults."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
if sys.argv[1] == "with":
    import tinygrad_edu.core.tensor
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def fill():
    some = [np.ones(2**17) for _ in range(4)]
fill()
before = faults()
for _ in range(20):
    fill()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this threshold")
def test_arrays_of_a_megabyte_cost_no_page_faults():
    own = {name: x for name, x in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    found = [
        int(subprocess.run([sys.executable, "-c", PROGRAM, way], env=own, capture_output=True, check=True).stdout)
        for way in ("with", "without")
    ]
    assert found[0] < 2_000 < 10_000 < found[1]  # 20 times 4 arrays of 256 pages
