"""The page as a visitor has it: the tool in a process of its own, and a real browser."""

import base64
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from hostile_pictures import png_of
from numbered_videos import read_number, write_numbered
from PIL import Image
from trained_model import NAME, SMALL, save_picture

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENCE = 300_000  # ms; a busy machine
SOURCES = "[...document.querySelectorAll('[data-testid=looks-{}] img')].map(one => one.src)"


@pytest.fixture(scope="module")
def chromium():
    for command in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(command):
            return found
    reason = "no Chromium: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI this test may not be skipped")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def address(weights, baseline_weights, video_weights, tmp_path_factory):
    """Of a page of two models and two small pictures, and of a video model and two files."""
    folder, videos = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("videos")
    write_numbered(videos / "a.mp4", 30)
    (videos / "broken.mp4").write_bytes(b"no video")
    save_picture(folder / "a.png", 64, 96)
    save_picture(folder / "b.png", 96, 64, seed=1)
    words = [sys.executable, ROOT / "tools" / "explore.py", "--config-file", NAME]
    words += ["--weights", weights, "--images", folder, "--videos", videos, "--port", "0"]
    words += ["--max-upload-mb", "0.25"]
    words += ["--against", f"quick/mask_keypoint_rcnn_R18={baseline_weights}"]
    words += ["--against", f"video/quick/nl_i3d_R18={video_weights}"]
    hidden = {"PYTEST_CURRENT_TEST", "NICEGUI_SCREEN_TEST_PORT"}  # else NiceGUI takes it for a test
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["PYTHONPATH"] = str(ROOT)
    options = {"env": environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*map(str, words), *SMALL], **options) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith("http://127.0.0.1:"), line
            yield line.split()[0]
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="module")
def browser(chromium):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]  # root has no sandbox
        launched = playwright.chromium.launch(
            executable_path=chromium, args=arguments, timeout=PATIENCE
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser, address):
    """The page with its first picture; it may ask nobody but the server."""
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.set_default_timeout(PATIENCE)
    errors, hosts = [], set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(urlparse(request.url)))
    page.goto(address)
    wait_for_picture(page, 96, 64)
    yield page
    page.close()
    assert not errors
    outside = [one for one in hosts if one.scheme not in ("data", "blob")]
    assert {one.netloc for one in outside} == {urlparse(address).netloc}


def wait_for_picture(page, width, height):
    """Until both models' pictures are of that shape."""
    page.wait_for_function(
        """ratio => [0, 1].every(k => {
            const one = document.querySelector(`[data-testid=picture-${k}] img`);
            return one && one.naturalWidth && one.naturalWidth * ratio[1] ===
                one.naturalHeight * ratio[0];
        })""",
        arg=[width, height],
    )


def click(page, x, y, index=0):
    """Click at this share of a model's picture."""
    picture = page.get_by_test_id(f"picture-{index}").locator("img")
    box = picture.bounding_box()
    picture.click(position={"x": x * box["width"], "y": y * box["height"]})


def looks(page, other_than=(), count=None):
    """The pictures of looks, once they have changed, and are so many."""
    page.wait_for_function(
        f"""([before, count]) => {{
            const now = {SOURCES.format(0)};
            return now.length && now.join() !== before.join() &&
                (count === null || now.length === count);
        }}""",
        arg=[list(other_than), count],
    )
    return page.evaluate(SOURCES.format(0))


def upload(page, name, data, kind="image/png"):
    files = {"name": name, "mimeType": kind, "buffer": data}
    page.locator("input[type=file]").set_input_files(files)


def say(page, text):
    """Wait until the page says so."""
    page.get_by_test_id("message").filter(has_text=text).wait_for()


def test_a_click_shows_where_each_block_looks_and_another_click_changes_it(page):
    assert "no non-local block" in page.get_by_test_id("says-1").inner_text()
    first = page.evaluate(SOURCES.format(0))
    assert first == []
    click(page, 0.5, 0.5)
    first = looks(page)
    click(page, 0.1, 0.2, index=1)  # on the model beside it
    second = looks(page, other_than=first)
    assert second[0] != first[0]  # the backbone's
    assert page.evaluate(SOURCES.format(1)) == []  # the baseline looks nowhere
    page.get_by_text("arrows", exact=True).click()
    third = looks(page, other_than=second)
    page.get_by_role("checkbox", name="res4.nl0").click()
    page.wait_for_function(f"{SOURCES.format(0)}.length === {len(third) - 1}")
    page.get_by_label("next").click()
    wait_for_picture(page, 64, 96)
    page.wait_for_function(f"{SOURCES.format(0)}.length === 0")


def test_bad_uploads_get_a_message_and_good_ones_are_shown(page):
    upload(page, "text.jpg", b"this is text", "image/jpeg")
    say(page, "text.jpg: no image, whatever its name")
    upload(page, "large.png", png_of(10_000, 10_000))
    say(page, "large.png: 10000 x 10000 is 100 megapixels; at most 25; make it smaller first")
    upload(page, "heavy.png", bytes(2**18 + 1))
    say(page, "That file was refused: give one image (JPEG, PNG, ...) of at most 0.25 MB")
    file = BytesIO()
    pixels = np.random.default_rng(2).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(file, format="PNG")
    upload(page, "good.png", file.getvalue())
    wait_for_picture(page, 64, 64)
    assert not page.get_by_test_id("message").is_visible()
    click(page, 0.5, 0.5)
    assert looks(page)


def test_the_figure_can_be_downloaded(page, tmp_path):
    click(page, 0.5, 0.5)
    looks(page)
    with page.expect_download() as download:
        page.get_by_test_id("download").click()
    download.value.save_as(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.height > 2 * 512  # two models, one above the other


def number_of_frame(page, label):
    """The number that the shown frame has in its pixels, once the page says that it is there."""
    page.get_by_test_id("frame-label").filter(has_text=label).wait_for()
    page.wait_for_function(
        """before => {
            const one = document.querySelector('[data-testid=video-frame] img');
            return one && one.naturalWidth && one.src !== before;
        }""",
        arg=getattr(page, "shown_before", ""),
    )
    page.shown_before = page.evaluate("document.querySelector('[data-testid=video-frame] img').src")
    png = base64.b64decode(page.shown_before.partition(",")[2])
    return read_number(np.asarray(Image.open(BytesIO(png)).convert("RGB")))


def test_a_click_on_a_frame_of_a_video_shows_the_blocks_over_its_clip(page):
    page.get_by_role("tab", name="Videos").click()
    assert number_of_frame(page, "frame 14 of 0..29, 0.56 s") == 14
    slider = page.get_by_test_id("frame")
    slider.click(position={"x": 1, "y": slider.bounding_box()["height"] / 2})
    assert number_of_frame(page, "frame 0 of 0..29, 0.00 s") == 0
    looks = "[...document.querySelectorAll('[data-testid=clip-attention] img')].map(i => i.src)"
    assert page.evaluate(looks) == []
    frame = page.get_by_test_id("video-frame").locator("img")
    box, before = frame.bounding_box(), []
    for x, words in ((0.5, "From (48, 24) in frame 0"), (0.1, "From (10, 24) in frame 0")):
        frame.click(position={"x": x * box["width"], "y": 0.5 * box["height"]})
        page.get_by_test_id("clip-hint").filter(has_text=words).wait_for()
        page.wait_for_function(f"{looks}.length === 2")
        assert not set(before) & set(page.evaluate(looks))
        before = page.evaluate(looks)
    page.get_by_text("res4.nl0: query independence ").wait_for()
    page.get_by_test_id("video").click()
    page.get_by_role("option", name="broken.mp4").click()
    say(page, "broken.mp4: not a video that can be read")
    page.get_by_role("tab", name="Pictures").click()
    wait_for_picture(page, 96, 64)


def test_a_page_from_elsewhere_cannot_talk_to_the_server(browser, address):
    page = browser.new_page()
    answer = page.request.get(address, headers={"Host": "evil.example"})
    page.close()
    assert answer.status == 400
