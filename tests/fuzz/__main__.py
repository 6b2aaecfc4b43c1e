"""python -m tests.fuzz SECONDS [SEED]: seed after seed, in plain Python and (every eighth) compiled."""

import sys
import time
from collections import Counter

import numpy as np

from tests.fuzz.compare import differences
from tests.fuzz.generator import case


def main(seconds, seed):
    start, tally = time.monotonic(), Counter()
    while time.monotonic() - start < seconds:
        dtype = (np.float64, np.float32)[seed % 2]
        special = seed % 3 == 0
        made = case(seed, dtype, special)
        for plain in (True, False) if seed % 8 == 0 else (True,):
            way = "plain" if plain else "compiled"
            try:
                found = differences(made, plain)
            except Exception as error:
                found = [f"{type(error).__name__}: {' '.join(str(error).split()):.300}"]
            tally[way, "differs" if found else "agrees"] += 1
            if found:
                print(f"seed {seed} ({way}) {made}\n    " + "\n    ".join(found), flush=True)
        seed += 1
    print({" ".join(key): n for key, n in sorted(tally.items())}, f"next seed {seed}")
    return any(key[1] == "differs" for key in tally)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
