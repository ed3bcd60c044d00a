from io import BytesIO

import numpy as np
import pytest
from hostile_pictures import png_of
from PIL import Image

from nonlocal_det.explorer import UploadLimits, read_upload

LIMITS = UploadLimits(max_bytes=200_000, max_pixels=3_000_000)
PIXELS = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)


def file_of(pixels, format="PNG"):
    file = BytesIO()
    Image.fromarray(pixels).save(file, format=format)
    return file.getvalue()


def test_an_upload_is_decoded():
    np.testing.assert_array_equal(read_upload(file_of(PIXELS), "a.png", LIMITS), PIXELS)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"this is text", "a.jpg: no image, whatever its name; give one of JPEG, PNG"),
        (b"", "a.jpg: no image"),
        (file_of(PIXELS)[:900], "a.jpg: a damaged image"),
        (file_of(PIXELS, "EPS"), "a.jpg: no image"),  # Pillow would start Ghostscript
        (png_of(10_000, 10_000), "a.jpg: 10000 x 10000 is 100 megapixels; at most 3;"),
        (png_of(100_000, 100_000), "a.jpg: too many pixels"),
        (bytes(200_001), r"a.jpg: 0.2 MB; at most .*--max-upload-mb"),
        (file_of(PIXELS[:15]), r"a.jpg: 48 x 15 pixels; give a picture of at least 16"),
        (file_of(np.zeros((16, 321, 3), np.uint8)), r"a.jpg: 321 x 16 pixels; .* at most 1 : 20"),
    ],
)
def test_a_bad_upload_is_refused_with_its_cause(data, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        read_upload(data, "../../etc/a.jpg", LIMITS)


def test_a_large_picture_is_made_smaller_in_its_shape():
    ramp = np.broadcast_to(np.linspace(0, 255, 2000)[:, None, None], (2000, 1000, 3))
    image = read_upload(file_of(ramp.astype(np.uint8)), "a.png", LIMITS)
    assert image.shape == (1600, 800, 3)
    expected = np.linspace(0, 255, 1600)
    assert np.abs(image[:, 400, 0] - expected).max() < 2


def test_limits_that_nothing_passes_are_refused():
    with pytest.raises(ValueError, match="--max-upload-mb and --max-megapixels: 0 bytes"):
        UploadLimits(max_bytes=0)
