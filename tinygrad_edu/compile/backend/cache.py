"""Generated modules on disk, named by their content: written in one piece, compiled once, shared by all processes.

The name covers the program text, the versions of the generator and of Numba, and the processor, because Numba does not
notice when a function that a cached one calls has changed. From this package, a generated module imports only
intrinsics.py and llvm_statements.py; their text, and that of the modules that make machine code, is part of the name.

These files are executed, so only folders and files that belong to this user are loaded, and only those that nobody
else may write to (private_folders.py). Anything damaged is compiled again.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_edu import interrupts
from tinygrad_edu.compile.backend import compiler, forks, held_modules, private_folders
from tinygrad_edu.compile.backend.aliases import IRValue, Signature
from tinygrad_edu.compile.backend.parse import ieee
from tinygrad_edu.core.mutex import Mutex

GENERATOR = "1"  # part of a program's key: raise it if the same text must be compiled differently
# Generated modules import these, so their machine code goes into each program: a change here needs a new program.
MODULES = (
    "intrinsics matmul in_parts tiles team llvm_statements llvm_expressions llvm_values alias_scopes lanes own_memory "
    "tables"
)
OWN = [Path(__file__).with_name(f"{name}.py") for name in MODULES.split()]
NATIVE = "".join(path.read_text(encoding="utf-8") for path in OWN)
VARIABLE = "TINYGRAD_EDU_CACHE"
MACHINE_CODE = "__pycache__/*.nb[ic]"
PROGRAM = re.compile(r"tinygrad_edu_\w+_[0-9a-f]{20}")  # a folder's name, as `name_of_module` makes it
WRITTEN = ("program.py", "*.tmp", "__pycache__/program.*")  # all files that are ever written into such a folder
KEEP = " cache=True,"  # the option by which a text makes Numba keep its machine code
LOCK = Mutex()  # one compilation at a time in a process


@dataclass(frozen=True)
class Info:
    """The cache: its folder, the number of programs, and their size in bytes with the machine code."""

    folder: Path
    programs: int
    size: int

    def __str__(self) -> str:
        return f"{self.programs} compiled programs, {self.size / 1e6:.1f} MB, in {self.folder}"


def folder() -> Path:
    """Where programs are kept: $TINYGRAD_EDU_CACHE, else the user's cache folder, else a temporary one, with a note."""
    chosen = os.environ.get(VARIABLE)
    wanted = Path(chosen) if chosen else private_folders.users_folder()
    reason = private_folders.unusable(wanted)
    return temporary(wanted, reason) if reason else wanted


TEMPORARY: list[Path] = []


def temporary(wanted: Path, reason: str) -> Path:
    """A private folder for this process, if the usual one cannot be used."""
    if not TEMPORARY:
        TEMPORARY.append(Path(tempfile.mkdtemp(prefix="tinygrad_edu-")))
        atexit.register(private_folders.remove, TEMPORARY[0], os.getpid())
        note(
            f"compiled programs cannot be kept in {wanted}: {reason}. They go to {TEMPORARY[0]} and are compiled again "
            f"next time; set {VARIABLE} to a folder that only you can write to"
        )
    return TEMPORARY[0]


def note(text: str) -> None:
    """A warning that stops nothing: where warnings are errors (`python -W error`), the program runs all the same."""
    with suppress(UserWarning):
        warnings.warn(text, stacklevel=4)


def load(text: str, name: str) -> Any:
    """An object with the functions of this program text as its attributes, compiled now or earlier.

    A damaged program text is written again; machine code that cannot be read, or that somebody else may have written,
    is compiled again. Where nothing can be written, nothing is kept. Without a compiler the text runs as plain Python.
    """
    module_name = name_of_module(text, name)
    with LOCK.freed(), LOCK.taken:
        found = held_modules.in_use(module_name)
        return module_of(text, module_name) if found is None else found


def module_of(text: str, module_name: str) -> Any:
    """The same for a program that is not loaded yet."""
    if compiler.missing():
        return execute(module_name, text)
    home = ready(folder() / module_name)
    with suppress(Exception):
        return execute(module_name, text, write_program(home, text))
    try:
        home = empty_folder(home)
        return execute(module_name, text, write_program(home, text))
    except OSError:  # the disk is full, or the size of files is limited
        return execute(module_name, text.replace(KEEP, ""))


def ready(home: Path) -> Path:
    """A program's folder whose files can all be loaded."""
    if not os.path.lexists(home):
        return home
    if reason := lasting(home):
        note(f"a compiled program is not used, but compiled again: {reason}")
    return home if not reason and sound(home) else empty_folder(home)


def lasting(home: Path) -> str:
    """Why its files may be somebody else's. Microseconds pass between writing a file and closing it to others."""
    for _ in range(5):
        if not (reason := private_folders.danger_within(home)):
            return ""
        time.sleep(0.02)
    return reason


def empty_folder(home: Path) -> Path:
    """The same folder, emptied, or another one if its files cannot be removed."""
    if home.is_symlink() or home.is_file():
        with suppress(OSError):
            home.unlink()
    shutil.rmtree(home, ignore_errors=True)
    if not os.path.lexists(home):
        return home
    return temporary(home, "its files cannot be removed") / home.name


def call_first(function: Any, *arguments: IRValue) -> Any:
    """function(*arguments), compiled first if this is the first call.

    Python's cyclic garbage collector is off meanwhile: it finds nothing to free and takes an eighth of the time.
    Errors: KeyboardInterrupt also where LLVM has forgotten it, as it does if it calls Python just then.
    """
    if getattr(function, "overloads", True) or not gc.isenabled():
        return function(*arguments)
    gc.disable()
    try:
        forks.WITHOUT_COLLECTOR.append(threading.get_ident())
        with interrupts.Passed():
            return function(*arguments)
    except RuntimeError as error:
        if "no compiled object yet" in str(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        forks.WITHOUT_COLLECTOR.clear()
        gc.enable()


def name_of_module(text: str, name: str) -> str:
    """The module's name: its purpose, and a hash of everything that its machine code depends on."""
    key = hashlib.sha256("\0".join([text, GENERATOR, environment(), NATIVE]).encode()).hexdigest()[:20]
    return f"tinygrad_edu_{name}_{key}"


def holds(text: str, name: str) -> bool:
    """Is the machine code for this text there, in this process or on the disk?"""
    module_name = name_of_module(text, name)
    return module_name in sys.modules or any((folder() / module_name).rglob("*.nbc"))


def environment() -> str:
    """Everything besides the text that machine code depends on."""
    if reason := compiler.missing():
        return reason
    import llvmlite.binding
    import numba

    config: Any = numba.config  # its names are made when it is imported, from NUMBA_OPT and its like
    chosen = config.OPT, config.CPU_NAME, config.CPU_FEATURES
    known = numba.__version__, sys.version.split()[0], llvmlite.binding.get_host_cpu_name(), *chosen
    return " ".join(map(str, known))


def write_program(home: Path, text: str) -> Path:
    """Write the file in one step: readers see the old file or the new one."""
    path = home / "program.py"
    content = text.encode()
    for folder in (home, home / "__pycache__"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (path.is_file() and path.read_bytes() == content):
        handle, draft = tempfile.mkstemp(dir=home, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(draft, path)
    return path


def execute(name: str, text: str, path: Path | None = None) -> Any:
    """Run a generated text as a module. It is registered first, because Numba looks up the module while it compiles.

    The text itself is run, not Python's .pyc file of it, in which damage would go unnoticed.
    """
    module = ModuleType(name)
    vars(module)["__text__"] = text  # for llvm_statements.py: another process may delete the file at any moment
    sys.modules[name] = held = held_modules.Held(module)
    try:
        if path is None:
            exec(compile(ieee(text) if compiler.missing() else text, name, "exec"), vars(module))
            return module
        module.__file__ = str(path)
        with beside_the_text():
            exec(compile(text, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    seal(path.parent)
    for thing in vars(module).values():
        if hasattr(thing, "enable_caching"):  # a function compiled by Numba
            guard(thing._cache, path.parent)
    return held.take_functions()


@contextmanager
def beside_the_text() -> Iterator[None]:
    """Make Numba keep machine code beside the text: with $NUMBA_CACHE_DIR, damage to it would go unnoticed."""
    from numba import config as numba_config

    config: Any = numba_config
    elsewhere, config.CACHE_DIR = config.CACHE_DIR, ""
    try:
        yield
    finally:
        config.CACHE_DIR = elsewhere


def sound(home: Path) -> bool:
    """Is all machine code as it was written? A single wrong bit in it would end the process.

    Another process may be between writing and sealing, which takes less than a millisecond: it gets 0.1 s.
    """
    for _ in range(5):
        if is_sealed(home):
            return True
        time.sleep(0.02)
    return False


def is_sealed(home: Path) -> bool:
    try:
        return all(seal_of(path).read_bytes() == digest(path) for path in home.glob(MACHINE_CODE))
    except OSError:
        return False


def seal(home: Path) -> None:
    """Note the hash of machine code that has none yet."""
    with suppress(OSError):
        for path in home.glob(MACHINE_CODE):
            if not seal_of(path).exists():
                write_seal(path)


def write_times(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in home.glob(MACHINE_CODE)}


def write_seal(path: Path) -> None:
    """Note the hash of a file that other processes may write too; the last writer's seal is the right one."""
    private_folders.close(path)
    while not seal_of(path).exists() or seal_of(path).read_bytes() != digest(path):
        seal_of(path).write_bytes(digest(path))
        private_folders.close(seal_of(path))


def seal_of(path: Path) -> Path:
    return path.with_suffix(f"{path.suffix}.sha256")


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()


def guard(machine_code: Any, home: Path) -> None:
    """Numba's index of machine code: files that cannot be read count as missing, failures to write are ignored."""
    load_overload, save_overload = machine_code.load_overload, machine_code.save_overload

    def read(signature: Signature, target: IRValue) -> Any:
        try:
            return load_overload(signature, target)
        except Exception:  # unpickling may raise anything if another process has deleted half of the data
            with suppress(OSError):
                machine_code.flush()
            return None

    def write(signature: Signature, data: IRValue) -> None:
        with suppress(OSError):
            before = write_times(home)
            save_overload(signature, data)
            for path, time_ns in write_times(home).items():
                if before.get(path) != time_ns:  # older files keep their seals, because they may be damaged by now
                    write_seal(path)

    if type(machine_code).__name__ == "FunctionCache":
        machine_code.load_overload, machine_code.save_overload = read, write


def info() -> Info:
    """The present contents of the cache."""
    home, sizes = folder(), []
    for path in (path for program in programs(home) for path in files_of(program)):
        with suppress(OSError):  # another process may delete it meanwhile
            sizes.append((path.name == "program.py", path.lstat().st_size))
    return Info(home, sum(is_text for is_text, _ in sizes), sum(size for _, size in sizes))


def programs(home: Path) -> list[Path]:
    """The folders that `load` has made."""
    return [path for path in home.iterdir() if PROGRAM.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def files_of(program: Path) -> list[Path]:
    """The files that `load` and Numba have written into a program's folder."""
    found = [path for pattern in WRITTEN for path in program.glob(pattern)]
    return [path for path in found if path.is_file() and not path.parent.is_symlink()]


def clear() -> Info:
    """Delete all compiled programs; returns what there was. Other files stay, even in these folders."""
    before = info()
    for program in programs(before.folder):
        for path in files_of(program):
            with suppress(OSError):
                path.unlink()
        for folder in (program / "__pycache__", program):  # fails, as it should, if anything else is in there
            with suppress(OSError):
                folder.rmdir()
    return before
