"""Node.js for the tests of programs in JavaScript; `.ci/run` installs it where it may.

Without it these tests are skipped, but where CI is set they fail.
"""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

REASON = "needs Node.js: apt-get install --no-install-recommends nodejs"


def run(script, folder):
    """The script's `found`, as Python: numbers come as text, so that NaN, -0 and every digit arrive."""
    node = shutil.which("node")
    if node is None:
        pytest.fail(REASON) if os.environ.get("CI") else pytest.skip(REASON)
    file = folder / "program.js"
    exact = "(_, x) => typeof x === 'number' ? (Object.is(x, -0) ? '-0' : String(x)) : x"
    file.write_text(f"const found = [];\n{script}\nconsole.log(JSON.stringify(found, {exact}));\n", encoding="utf-8")
    done = subprocess.run([node, file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def numbers(texts):
    return np.array([float(x.replace("Infinity", "inf")) for x in texts])


def literal(array):
    return json.dumps(np.asarray(array).tolist())
