"""Grey images in one folder per class, the form in which many image collections are distributed.

Images are written as PGM files: a one-line header, then a byte for each pixel, so that NumPy can write and read them
without an image package; GIMP, ImageMagick, Preview, IrfanView and Pillow open them. Other formats (PNG, JPEG, ...) are
read with Pillow, which comes with the extra `viz`.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.data.arguments import finite, pairs
from tinygrad_edu.data.preparation import class_labels
from tinygrad_edu.errors import ImageError, SettingError, ShapeError
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
PARTIAL = ".partial-"  # part of the name of a folder that is still being written
# P5, width, height, maximum grey, one whitespace; comments run from # to the end of the line (netpbm's pgm.5)
PGM = re.compile(rb"P5(?:\s|#.*\n)+(\d+)(?:\s|#.*\n)+(\d+)(?:\s|#.*\n)+(\d+)\s")


@check_arguments
def write_image_folders(path: str | Path, X: Samples, y: Samples, names: Sequence[str] | None = None) -> None:
    """Write images as path/NAME/NUMBER.pgm, NAME being the class and NUMBER the place in X.

    A class without images gets no folder. The folder is named `path` only once it is complete: an interrupted write
    leaves none, or one with ".partial-" in its name, which is never read.
    path: the folder to make.
    X: (samples, height, width), or (samples, side²) for square images, grey from 0 (black) to 1, kept to 1/255.
    y: (samples,) class numbers.
    names: one for each class; by default the numbers with leading zeros.
    Errors: SettingError for greys outside [0, 1], names that cannot be folders, or a path that is there already;
    ShapeError, DtypeError.

    >>> import tempfile
    >>> from tinygrad_edu.data import glyphs
    >>> X, y = glyphs(20, "AB")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image_folders(Path(folder, "letters"), X, y, names="AB")
    ...     images, labels, names = read_image_folders(Path(folder, "letters"))
    >>> images.shape, labels.tolist() == sorted(y), names
    ((20, 30, 30), True, ['A', 'B'])
    """
    images, targets = pairs(squares(X), y)
    labels = class_labels(targets)
    folders = folder_names(labels, names)
    goal = Path(path)
    if goal.exists():
        raise SettingError(f"{goal} exists already: name another folder, or remove it first")
    partial = goal.with_name(f"{goal.name}{PARTIAL}{secrets.token_hex(4)}")
    partial.mkdir(parents=True)
    try:
        write_all(partial, images, labels, folders)
        os.rename(partial, goal)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@check_arguments
def read_image_folders(path: str | Path) -> tuple[Array, Array, list[str]]:
    """(images, labels, names) from one folder for each class: images (samples, height, width), grey from 0 to 1.

    Labels (samples,) are indices into `names`, the names of the folders in sorted order; images come class after class
    and by file name within a class, so shuffle them for training. Colour images become grey, transparent pixels white,
    and photographs stand as a viewer shows them. Files and folders whose names begin with a dot are skipped.
    path: the folder that holds one folder of images for each class.
    Errors: ImageError, naming the file or folder, if it is missing, empty, incomplete, not an image, of another size,
    or cannot be read without Pillow.

    >>> read_image_folders("no such folder")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ImageError: no such folder: this is not a folder; one folder for each class is needed
    """
    root = checks.path("path", path, "read_image_folders")
    folders = visible(root)
    names = [folder.name for folder in folders]
    files = [visible(folder) for folder in folders]
    images = read_all([file for inside in files for file in inside])
    return images, np.repeat(np.arange(len(files)), [len(inside) for inside in files]), names


def squares(X: Samples) -> Array:
    """Images as bytes, (samples, height, width)."""
    array = finite("X", X)
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side != array.shape[1]:
            raise ShapeError(
                f"X has shape {array.shape}: {array.shape[1]} is not a square number, give (samples, height, width)"
            )
        array = array.reshape(-1, side, side)
    if array.ndim != 3 or 0 in array.shape:
        raise ShapeError(f"X has shape {array.shape}: images have shape (samples, height, width)")
    if array.min() < 0.0 or array.max() > 1.0:
        raise SettingError(
            f"grey values run from {array.min():g} to {array.max():g}: they have to be in [0, 1]; divide bytes by 255"
        )
    return np.rint(array * 255.0).astype(np.uint8)


def folder_names(labels: Array, names: Sequence[str] | None) -> list[str]:
    """One folder name for each class, different on every system and in the order of the classes."""
    many = int(labels.max()) + 1
    chosen = [f"{i:0{len(str(many - 1))}d}" for i in range(many)] if names is None else [str(name) for name in names]
    if len(chosen) < many:
        raise SettingError(f"{len(chosen)} names for the classes 0 to {many - 1}: give one for each")
    for name in chosen:
        if not re.fullmatch(r"[\w\-. ]+", name) or name != name.strip(". "):
            raise SettingError(f"{name!r} is not a folder name on every system: use letters, digits, - and _")
    if len({name.casefold() for name in chosen}) < len(chosen):
        raise SettingError(
            f"names={chosen!r}: two are equal, or differ only in upper and lower case, which some file systems ignore"
        )
    return chosen


def write_all(root: Path, images: Array, labels: Array, names: list[str]) -> None:
    """A folder for each class that occurs and a file for each image."""
    for number in np.unique(labels):
        (root / names[number]).mkdir()
    digits = len(str(len(images) - 1))
    _, height, width = images.shape
    header = b"P5 %d %d 255\n" % (width, height)
    for i, (image, number) in enumerate(zip(images, labels, strict=True)):
        (root / names[number] / f"{i:0{digits}d}.pgm").write_bytes(header + image.tobytes())


def visible(folder: Path) -> list[Path]:
    """The contents of a folder, in sorted order. Errors: ImageError."""
    if PARTIAL in folder.name:
        raise ImageError(f"{folder}: writing it was interrupted, so images are missing; write it again")
    if not folder.is_dir():
        raise ImageError(f"{folder}: this is not a folder; one folder for each class is needed")
    found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not found:
        raise ImageError(f"{folder}: the folder is empty; images are needed, in one folder for each class")
    return found


def read_all(files: list[Path]) -> Array:
    """Images of one size, (samples, height, width), from 0 to 1."""
    first = read_image(files[0])
    images = np.empty((len(files), *first.shape))
    for image, file in zip(images, files, strict=True):
        grey = read_image(file)
        if grey.shape != first.shape:
            (h, w), (height, width) = grey.shape, first.shape
            raise ImageError(
                f"{file}: {w} by {h} pixels, but {files[0]} has {width} by {height}; resize them to one size"
            )
        image[:] = grey
    return images


def read_image(file: Path) -> Array:
    """One image, (height, width), from 0 to 1."""
    if file.is_dir():
        raise ImageError(f"{file}: a folder inside a class; only images are expected there")
    content = file.read_bytes()
    return pgm(file, content) if content.startswith(b"P5") else decode(file)


def pgm(file: Path, content: bytes) -> Array:
    """The pixels of a PGM file."""
    header = PGM.match(content)
    width, height, top = map(int, header.groups()) if header else (0, 0, 0)
    if not header or not 0 < top < 256 or not width * height:
        raise ImageError(f"{file}: not a PGM image of one byte for each pixel; its header is {content[:20]!r}")
    pixels = np.frombuffer(content, np.uint8, offset=header.end())
    if len(pixels) != width * height:
        raise ImageError(
            f"{file}: {len(pixels)} bytes of pixels, while {width} by {height} are {width * height}; the file is "
            f"{'truncated' if len(pixels) < width * height else 'too long'}"
        )
    if pixels.max() > top:
        raise ImageError(f"{file}: a grey of {pixels.max()}, while its header says that {top} is white")
    return pixels.reshape(height, width) / top


def decode(file: Path) -> Array:
    """The grey pixels of an image in another format."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise ImageError(f'{file}: not PGM, and other formats need Pillow: `pip install "tinygrad_edu[viz]"`') from None
    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":  # Pillow would clip greys above 255
                raise ImageError(
                    f"{file}: greys of more than 8 bits ({image.mode}); save it with 8 bits for each pixel"
                )
            seen = ImageOps.exif_transpose(image)  # cameras write which side is up beside the pixels
            if "A" in seen.getbands() or "transparency" in seen.info:  # as it is seen on white paper
                seen = seen.convert("RGBA")
                seen = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
            return np.asarray(seen.convert("L")) / 255.0
    except (OSError, SyntaxError) as error:  # what Pillow raises for other files, truncated images and broken PNGs
        raise ImageError(f"{file}: not a readable image ({error})") from error
