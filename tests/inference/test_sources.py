import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonlocal_det.data import import_cv2
from nonlocal_det.inference.sources import (
    VideoFile,
    find_images,
    frame_rate,
    read_frames,
    read_picture,
)

PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def save(path, pixels=PIXELS, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_files_folders_and_patterns_each_once(tmp_path):
    (tmp_path / "deep").mkdir()
    a, b = save(tmp_path / "b.png"), save(tmp_path / "a.JPG", format="JPEG")
    c = save(tmp_path / "deep" / "c.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    assert find_images([str(tmp_path)]) == [b, a]
    assert find_images([str(a), str(tmp_path / "**" / "*.png")]) == [a, c]


@pytest.mark.parametrize("name", ["none.png", "*.gif", "."])
def test_what_matches_nothing_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="give images, a folder, or"):
        find_images([str(tmp_path / name)])


def test_pictures_are_rgb_whatever_they_were(tmp_path):
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a.png")), PIXELS)
    grey = read_picture(save(tmp_path / "grey.png", PIXELS[:, :, 0]))
    np.testing.assert_array_equal(grey, np.repeat(PIXELS[:, :, :1], 3, axis=2))


def test_pictures_are_turned_as_their_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    image = read_picture(save(tmp_path / "a.png", exif=exif))
    np.testing.assert_array_equal(image, np.rot90(PIXELS, -1))


def test_a_grey_picture_of_16_bits_is_not_white(tmp_path):
    deep = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 1000
    image = read_picture(save(tmp_path / "deep.png", deep))
    np.testing.assert_array_equal(image, np.repeat((deep // 256)[:, :, None], 3, axis=2))


def test_a_picture_that_pillow_would_run_a_program_for_is_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", format="EPS")
    with pytest.raises(ValueError, match=r"photo.jpg: no image, whatever its name"):
        read_picture(tmp_path / "photo.jpg")


def test_broken_pictures_are_named_with_their_cause(tmp_path, monkeypatch):
    (tmp_path / "a.ppm").write_bytes(b"P6\n8 x6\n255\n")
    with pytest.raises(ValueError, match=r"a.ppm: a damaged image"):
        read_picture(tmp_path / "a.ppm")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: os.open("/", os.O_WRONLY))  # an OSError
        with pytest.raises(ValueError, match=r"a.ppm: cannot be read \(Is a directory\)"):
            read_picture(tmp_path / "a.ppm")
    (tmp_path / "text.jpg").write_text("this is text")
    with pytest.raises(ValueError, match=r"text.jpg: no image, whatever its name"):
        read_picture(tmp_path / "text.jpg")
    whole = save(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8)).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half.png: a damaged image"):
        read_picture(tmp_path / "half.png")
    with pytest.raises(FileNotFoundError, match="gone.png: no such file"):
        read_picture(tmp_path / "gone.png")


def test_too_large_a_picture_is_not_decoded(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "convert", None)
    with pytest.raises(ValueError, match="8 x 6 is 0 megapixels; at most 4e-05"):
        read_picture(path, max_pixels=40)


def test_a_video_has_the_frames_that_were_written(tmp_path):
    video = VideoFile(tmp_path / "a.mp4", rate=12)
    for value in (0, 120, 240):
        video.write(np.full((65, 48, 3), [value, 0, 0], np.uint8))
    with pytest.raises(ValueError, match="a frame of 20 x 20 after"):
        video.write(np.zeros((20, 20, 3), np.uint8))
    video.close()
    frames = list(read_frames(str(tmp_path / "a.mp4")))
    assert [frame.shape for frame in frames] == [(64, 48, 3)] * 3
    assert frames[2][..., 0].mean() > 200 > 60 > frames[2][..., 2].mean()  # red, and not blue
    assert frame_rate(str(tmp_path / "a.mp4")) == pytest.approx(12)


def test_videos_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.mp4: no such video"):
        next(read_frames(str(tmp_path / "none.mp4")))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match="text.mp4: cannot be opened, or has no frame"):
        next(read_frames(str(tmp_path / "text.mp4")))


def test_a_camera_that_is_not_there_is_named(monkeypatch):
    class NoCamera:
        def __init__(self, source):
            assert source == 3

        def isOpened(self):
            return False

        def release(self):
            pass

    monkeypatch.setattr(import_cv2(), "VideoCapture", NoCamera)
    with pytest.raises(ValueError, match="camera 3: cannot be opened.*plugged in"):
        next(read_frames(3))
