"""Code that may change what is there before it runs: lists, attributes, arrays, globals.

The first call of a compiled function puts back what its traces have changed. What another thread has changed meanwhile
looks the same. So where no code of the user's can have done it, and there are other threads, it is theirs.
"""

from __future__ import annotations

from dis import get_instructions
from functools import lru_cache
from types import CodeType

STORES = {"DELETE_ATTR", "DELETE_GLOBAL", "DELETE_SUBSCR", "STORE_ATTR", "STORE_GLOBAL", "STORE_NAME", "STORE_SUBSCR"}
WRITERS = {
    "__dict__", "__setitem__", "add", "add_", "append", "appendleft", "assign", "clear", "copy_", "copyto", "delattr",
    "discard", "eval", "exec", "extend", "extendleft", "file", "fill", "globals", "heappop", "heappush", "insert",
    "insort", "move_to_end", "mul_", "next", "out", "place", "pop", "popitem", "popleft", "put", "put_nowait",
    "putmask", "remove", "resize", "reverse", "rotate", "seed", "send", "set", "set_printoptions", "set_state",
    "setattr", "setdefault", "seterr", "setstate", "shuffle", "sort", "sub_", "subtract", "truncate", "update", "vars",
    "write", "writelines", "zero_",
}  # fmt: skip


@lru_cache(4096)
def may_write(code: CodeType) -> bool:
    """May a function with this code, or one inside it, change what it has not made?"""
    words = {*code.co_names, *(x for each in code.co_consts if type(each) is tuple for x in each)}
    if not WRITERS.isdisjoint(words):
        return True
    for each in get_instructions(code):
        outer = each.opname in ("DELETE_DEREF", "STORE_DEREF") and each.argval in code.co_freevars
        if each.opname in STORES or outer or (each.opname == "BINARY_OP" and each.argrepr.endswith("=")):
            return True
    return any(may_write(each) for each in code.co_consts if isinstance(each, CodeType))
