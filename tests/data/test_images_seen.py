"""Images are read as a viewer shows them."""

import numpy as np
import pytest

from tinygrad_edu.data import read_image_folders
from tinygrad_edu.errors import ImageError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow: the extra viz")
GREY = np.random.default_rng(0).integers(0, 256, (6, 5)).astype(np.uint8)
BLACK = np.zeros_like(GREY)


def with_exif(path):
    image = Image.fromarray(GREY)
    image.getexif()[0x0112] = 6  # orientation: turn it by 90 degrees clockwise
    image.save(path, exif=image.getexif())


def palette():
    image = Image.fromarray(GREY, "P")
    image.putpalette([255 - place // 3 for place in range(768)])
    return image


SEEN = {  # how it is saved, what is seen
    "grey": (lambda path: Image.fromarray(GREY).save(path), GREY),
    "ink": (lambda path: Image.fromarray(np.dstack([BLACK, BLACK, BLACK, GREY])).save(path), 255 - GREY),
    "grey ink": (lambda path: Image.fromarray(np.dstack([BLACK, GREY]), "LA").save(path), 255 - GREY),
    "palette": (lambda path: palette().save(path), 255 - GREY),
    "clear colour": (lambda path: palette().save(path, transparency=int(GREY[0, 0])), None),
    "turned": (with_exif, np.rot90(GREY, -1)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", SEEN)
def test_images_are_read_as_they_are_seen(tmp_path, how):
    save, seen = SEEN[how]
    (tmp_path / "A").mkdir()
    save(tmp_path / "A" / "one.png")
    if seen is None:
        seen = np.where(GREY[0, 0] == GREY, 255, 255 - GREY)
    np.testing.assert_allclose(255.0 * read_image_folders(tmp_path)[0][0], seen, atol=1.0)


def test_a_grey_above_white_is_refused(tmp_path):
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "one.pgm").write_bytes(b"P5 2 1 100\n\x01\xc8")
    with pytest.raises(ImageError, match="a grey of 200"):
        read_image_folders(tmp_path)
