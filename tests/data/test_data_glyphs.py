"""Glyph images: every digit and letter can be told from the others, and folders give back what was written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.data import DIGITS, LETTERS, glyphs, read_image_folders, write_image_folders
from tinygrad_edu.data.strokes import distances
from tinygrad_edu.errors import DtypeError, ImageError, NameNotFoundError, SettingError, ShapeError

STILL = {"shift": 0.0, "scale": 0.0, "slant": 0.0, "width": (2.0, 2.0), "noise": 0.0}


def test_images_are_greys_of_the_asked_size():
    X, y = glyphs(60, size=24)
    assert (X.shape, X.dtype, y.shape) == ((60, 576), np.dtype(float), (60,))
    greys = X * 255.0
    np.testing.assert_array_equal(greys, np.rint(greys))
    assert (X.min(), X.max()) == (0.0, 1.0)


def test_the_first_images_do_not_depend_on_how_many_are_drawn_at_a_time(monkeypatch):
    whole = glyphs(40)[0]
    monkeypatch.setattr("tinygrad_edu.data.glyph_images.BLOCK", 7)
    np.testing.assert_array_equal(glyphs(40)[0], whole)


def test_ink_covers_what_a_pen_of_that_width_covers():
    X, _ = glyphs(1, "I", **STILL | {"width": (2.0, 2.0)})
    image = X.reshape(30, 30)
    inner = image[9:21]  # between the two serifs: an upright stem, 2 pixels wide, in the middle
    np.testing.assert_allclose(inner.sum(axis=1), 2.0, atol=0.02)
    np.testing.assert_allclose(inner @ np.arange(30) / inner.sum(axis=1), 14.5, atol=0.02)
    height = (image.sum(axis=1) > 0.5).sum()
    assert height in (21, 22)  # 0.66 · 30 and a pen of 2


def test_settings_do_what_they_say():
    def middle(image):
        rows, columns = np.indices((30, 30))
        return np.array([(image * rows).sum(), (image * columns).sum()]) / image.sum()

    rest = glyphs(1, "O", **STILL)[0].reshape(30, 30)
    moved = glyphs(80, "O", **STILL | {"shift": 3.0})[0].reshape(-1, 30, 30)
    shifts = np.array([middle(image) - middle(rest) for image in moved])
    assert np.abs(shifts).max() <= 3.0 + 1e-2
    assert np.abs(shifts).max(axis=0).min() > 2.0
    ink = glyphs(80, "O", **STILL | {"width": (1.5, 3.0)})[0].sum(axis=1)
    assert ink.min() / rest.sum() == pytest.approx(0.75, abs=0.05)
    assert ink.max() / rest.sum() == pytest.approx(1.5, abs=0.05)
    noisy = glyphs(20, "O", **STILL | {"noise": 0.1})[0].reshape(-1, 30, 30)
    between = (noisy - rest)[:, (rest == 0.0)]
    assert between.std() == pytest.approx(0.0583, rel=0.05)  # N(0, 0.1²) cut off at 0: 0.1·√(1/2 - 1/(2π))


def test_every_character_differs_from_every_other():
    X, y = glyphs(36, DIGITS + LETTERS, **STILL)
    images = X[np.argsort(y)]
    overlap = images @ images.T / np.maximum.outer(*[(images**2).sum(axis=1)] * 2)
    np.fill_diagonal(overlap, 0.0)
    assert overlap.max() < 0.95, [(DIGITS + LETTERS)[i] for i in np.unravel_index(overlap.argmax(), overlap.shape)]


@pytest.mark.parametrize("characters", [DIGITS, LETTERS])
def test_a_nearest_neighbour_reads_the_glyphs(characters):
    neighbors = pytest.importorskip("sklearn.neighbors")
    X, y = glyphs(60 * len(characters), characters, seed=0)
    X_new, y_new = glyphs(10 * len(characters), characters, seed=1)
    assert neighbors.KNeighborsClassifier(1).fit(X, y).score(X_new, y_new) > 0.9


def test_the_distances_of_a_straight_stroke():
    sheet = distances("I")  # stem at x = 3 from y = 0 to 10; six points for a unit, the sheet begins at (-3, -3)
    assert sheet[48, 36] == 0.0
    assert sheet[48, 36 + 12] == pytest.approx(2.0)


def test_an_unknown_character_is_named():
    with pytest.raises(NameNotFoundError, match="unknown character 'a'"):
        glyphs(10, "Aa")


# Folders


@pytest.fixture
def letters(tmp_path):
    X, y = glyphs(30, "CAB", seed=3)
    write_image_folders(tmp_path / "in" / "letters", X, y, names="CAB")
    return tmp_path / "in" / "letters", X, y


def test_a_round_trip_gives_the_same_numbers_class_after_class(letters):
    path, X, y = letters
    assert sorted(entry.name for entry in path.iterdir()) == ["A", "B", "C"]
    assert [entry.name for entry in path.parent.iterdir()] == ["letters"]
    images, labels, names = read_image_folders(str(path))
    assert names == ["A", "B", "C"]
    assert labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    written = np.concatenate([X[y == "CAB".index(name)] for name in names])
    np.testing.assert_array_equal(images.reshape(30, 900), written)


def test_images_that_are_not_square_and_more_than_ten_classes(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (24, 5, 3)) / 255.0
    y = np.arange(24) % 12
    write_image_folders(tmp_path / "many", X, y)
    images, labels, names = read_image_folders(tmp_path / "many")
    assert names == [f"{i:02d}" for i in range(12)]  # sorted names are the classes in order
    np.testing.assert_array_equal(images, X[np.argsort(y, kind="stable")])
    np.testing.assert_array_equal(labels, np.sort(y))


def test_other_programs_read_what_is_written(letters):
    image = pytest.importorskip("PIL.Image")
    path, X, _ = letters
    file = next(iter(path.glob("*/00.pgm")))
    with image.open(file) as opened:
        np.testing.assert_array_equal(np.asarray(opened) / 255.0, X[0].reshape(30, 30))


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif"])
def test_other_formats_are_read_too(suffix, tmp_path):
    image = pytest.importorskip("PIL.Image")
    X, y = glyphs(4, "AB")
    for i, number in enumerate(y):
        (tmp_path / "AB"[number]).mkdir(exist_ok=True)
        bytes_ = np.rint(X[i] * 255).astype(np.uint8).reshape(30, 30)
        image.fromarray(bytes_).save(tmp_path / "AB"[number] / f"{i}.{suffix}")
    (tmp_path / ".hidden").write_text("left out")
    images, labels, _ = read_image_folders(tmp_path)
    np.testing.assert_array_equal(images.reshape(4, -1), X[np.argsort(y, kind="stable")])
    assert labels.tolist() == [0, 0, 1, 1]


def test_pictures_in_colour_become_grey(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "red").mkdir()
    image.new("RGB", (4, 2), (255, 0, 0)).save(tmp_path / "red" / "1.png")
    images, _, _ = read_image_folders(tmp_path)
    np.testing.assert_allclose(images, np.full((1, 2, 4), 0.299), atol=0.5 / 255)  # luma of ITU-R BT.601


def test_pgm_headers_may_have_comments(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.pgm").write_bytes(b"P5\n# made by hand\n 2\t1 # wide\n100\n" + bytes([0, 50]))
    assert read_image_folders(tmp_path)[0].tolist() == [[[0.0, 0.5]]]


def broken(change):
    """A test that breaks the folder `letters` in one way and expects an error that names the culprit."""

    def spoil(path):
        (path / "B" / change[0]).write_bytes(change[1])

    return spoil


def empty_class(path):
    (path / "D").mkdir()


def a_loose_file(path):
    (path / "labels.txt").write_text("A B C")


def a_nested_folder(path):
    (path / "B" / "B").mkdir()


def an_interrupted_write(path):
    (path / "B.partial-1f").mkdir()


SIX = b"P5 3 2 255\n"
SPOILED = [
    (broken(("zz.pgm", SIX + bytes(6))), r"zz\.pgm: 3 by 2 pixels, but .*\.pgm has 30 by 30"),
    (broken(("00.pgm", SIX + bytes(5))), r"00\.pgm: 5 bytes of pixels, while 3 by 2 are 6; the file is truncated"),
    (broken(("00.pgm", SIX + bytes(7))), r"00\.pgm: 7 bytes .* too long"),
    (broken(("00.pgm", b"P5 3 2 65535\n" + bytes(12))), r"00\.pgm: not a PGM image of one byte"),
    (broken(("00.pgm", b"P5 0 2 255\n")), r"00\.pgm: not a PGM image"),
    (broken(("00.pgm", b"P5" + b" " * 10_000)), r"00\.pgm: not a PGM image"),
    (broken(("00.pgm", b"")), r"00\.pgm: not a readable image"),
    (broken(("notes.txt", b"to do")), r"notes\.txt: not a readable image"),
    (broken(("zz.png", b"\x89PNG\r\n\x1a\n" + bytes(30))), r"zz\.png: not a readable image"),
    (empty_class, r"D: the folder is empty"),
    (a_loose_file, r"labels\.txt: this is not a folder"),
    (a_nested_folder, r"B.B: a folder inside a class"),
    (an_interrupted_write, r"B\.partial-1f: writing it was interrupted"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED)
def test_what_cannot_be_read_is_named(spoil, message, letters):
    pytest.importorskip("PIL")
    path, _, _ = letters
    spoil(path)
    with pytest.raises(ImageError, match=message):
        read_image_folders(path)


def test_sixteen_bits_are_refused_and_not_cut_off(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    image.fromarray(np.full((3, 3), 40_000, np.uint16)).save(tmp_path / "a" / "deep.png")
    with pytest.raises(ImageError, match=r"deep\.png: greys of more than 8 bits \(I;16\)"):
        read_image_folders(tmp_path)


def test_without_pillow_other_formats_are_refused_and_pgm_is_read(letters, monkeypatch):
    path, _, _ = letters
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert len(read_image_folders(path)[0]) == 30
    (path / "A" / "zz.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=r"zz\.png: not PGM, and other formats need Pillow: .*tinygrad_edu\[viz\]"):
        read_image_folders(path)


def test_an_empty_and_a_missing_folder(tmp_path):
    with pytest.raises(ImageError, match="the folder is empty"):
        read_image_folders(tmp_path)
    with pytest.raises(ImageError, match="missing: this is not a folder; one folder for each class is needed"):
        read_image_folders(tmp_path / "missing")


ONE = np.zeros((1, 4, 4))
BAD = [
    ((np.zeros((2, 5)), [0, 1]), ShapeError, "5 is not a square"),
    ((np.zeros(4), [0] * 4), ShapeError, r"X has shape \(4,\)"),
    ((np.zeros((0, 4, 4)), []), ShapeError, r"\(0, 4, 4\)"),
    ((ONE * np.nan, [0]), SettingError, "NaN"),
    ((ONE + 255, [0]), SettingError, "from 255 to 255: they have to be in .0, 1.; divide bytes by 255"),
    ((ONE, [0, 1]), ShapeError, "X has 1 rows and y has 2"),
    ((ONE, [0.5]), DtypeError, "labels hold float64"),
    ((ONE, [-1]), SettingError, "label -1"),
    ((ONE, [1], ["only"]), SettingError, "1 names for the classes 0 to 1"),
    ((ONE, [0], ["../up"]), SettingError, "'../up' is not a folder name"),
    ((ONE, [0], [".."]), SettingError, "is not a folder name"),
    ((ONE, [0], [""]), SettingError, "'' is not a folder name"),
    ((ONE, [0], ["a", "A"]), SettingError, "differ only in upper and lower case"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_what_cannot_be_written_is_named_and_leaves_nothing(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        write_image_folders(tmp_path / "out", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(letters):
    path, X, y = letters
    with pytest.raises(SettingError, match="letters exists already"):
        write_image_folders(path, X[:2], y[:2])
    assert len(read_image_folders(path)[0]) == 30


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def full_disk(self, content):
        written.append(self)
        if len(written) == 5:
            raise OSError("no space left on device")
        return real(self, content)

    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_image_folders(tmp_path / "out", np.zeros((9, 3, 3)), [0] * 9)
    assert len(written) == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that ends a program at once")
def test_a_write_that_is_killed_leaves_no_folder_of_that_name(tmp_path):
    code = (
        "import numpy as np; from tinygrad_edu.data import write_image_folders\n"
        f"write_image_folders({str(tmp_path / 'out')!r}, np.zeros((200_000, 3, 3)), np.zeros(200_000, int))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list(tmp_path.glob("*/*/*3.pgm")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = tmp_path.iterdir()
    with pytest.raises(ImageError, match="writing it was interrupted"):
        read_image_folders(left)
