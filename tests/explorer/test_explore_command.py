import runpy
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from numbered_videos import write_numbered
from PIL import Image
from trained_model import SMALL

from nonlocal_det.cli import explore as command
from nonlocal_det.configs import load_config

ROOT = Path(__file__).parents[2]
BASELINE = "quick/mask_keypoint_rcnn_R18"


@pytest.fixture
def served(monkeypatch):
    """What would be served, without a server."""
    serve = pytest.importorskip(
        "nonlocal_det.explorer.serve", reason="the explorer's page is an extra: nicegui"
    )
    calls = []
    monkeypatch.setattr(
        serve, "serve", lambda explorer, **options: calls.append((explorer, options))
    )
    return calls


def run_tool(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["explore.py", *map(str, words)])
    runpy.run_path(str(ROOT / "tools" / "explore.py"), run_name="__main__")


def test_the_tool_serves_models_and_images_to_this_machine(
    served, name, weights, baseline_weights, tmp_path, monkeypatch, capsys
):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    against = [f"{BASELINE}={baseline_weights}", f"{name}={weights}"]
    words = ["--config-file", name, "--weights", weights, "--port", "0"]
    words += ["--against", against[0], "--against", against[1], "--images", tmp_path]
    run_tool(monkeypatch, *words, "--max-upload-mb", "0.5", *SMALL)
    ((explorer, options),) = served
    names = ["nl_mask_keypoint_rcnn_R18", "mask_keypoint_rcnn_R18", "nl_mask_keypoint_rcnn_R18 (2)"]
    assert [model.name for model in explorer.models] == names
    assert [len(model.blocks) for model in explorer.models] == [5, 0, 5]
    assert explorer.images == (tmp_path / "a.png",)
    assert explorer.limits.max_bytes == 2**19
    assert options["host"] == "127.0.0.1"
    assert options["port"] > 0
    assert "WARNING" not in capsys.readouterr().err


def test_a_video_model_gets_the_videos(served, video_weights, tmp_path, monkeypatch):
    write_numbered(tmp_path / "a.mkv", 3)
    words = ["--config-file", "video/quick/nl_i3d_R18", "--weights", video_weights, "--port", "0"]
    run_tool(monkeypatch, *words, "--videos", tmp_path)
    ((explorer, _),) = served
    assert [model.name for model in explorer.video_models] == ["nl_i3d_R18"]
    assert (explorer.models, explorer.images) == ((), ())
    assert explorer.videos == (tmp_path / "a.mkv",)


def test_the_videos_are_those_of_the_test_data(monkeypatch, capsys):
    cfg = load_config("video/quick/nl_i3d_R18")
    records = [{"file_name": "left/0.mp4"}]
    monkeypatch.setattr(command.DatasetCatalog, "get", lambda name: records)
    assert command.find_videos(cfg, None) == [Path("left/0.mp4")]

    def missing(name):
        raise FileNotFoundError(f"no {name}")

    monkeypatch.setattr(command.DatasetCatalog, "get", missing)
    assert command.find_videos(cfg, None) == []
    said = capsys.readouterr().err
    assert said == "no test videos (no moving_clips_val): give --videos\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weights", "none.pth"], "none.pth: no such file of weights"),
        (["--against", BASELINE + "=none.pth"], "none.pth: no such file of weights"),
        (["--images", "nothing/*.png"], r"nothing/\*.png: no file, folder or pattern"),
        (["--host", "1.2.3.4.5"], "--host 1.2.3.4.5 --port 8080: .*; give another port"),
        (["--port", "70000"], "--host 127.0.0.1 --port 70000: "),
        (["--max-megapixels", "0"], "--max-upload-mb and --max-megapixels: .* 0 pixels"),
    ],
)
def test_the_tool_says_in_one_line_what_is_wrong(words, said, served, name, weights, monkeypatch):
    start = ["--config-file", name, "--weights", weights]
    with pytest.raises(SystemExit, match=f"^error: {said}"):
        run_tool(monkeypatch, *start, *words, *SMALL)
    assert not served


def test_a_port_that_is_taken_is_refused_before_anything_is_loaded(served):
    from nonlocal_det.explorer.serve import check_port

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port {port}: .*; give another port"):
            check_port("127.0.0.1", port)


def test_who_opens_the_page_to_others_is_warned(served, capsys):
    from nonlocal_det.explorer.serve import warn_if_public

    warn_if_public("0.0.0.0")
    assert capsys.readouterr().err.startswith("WARNING: --host 0.0.0.0: whoever reaches")


def test_the_images_are_those_of_the_test_data(tmp_path, capsys):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    detector = SimpleNamespace(metadata={"image_root": str(tmp_path)})
    assert command.find_pictures(detector, None) == [tmp_path / "a.png"]
    detector.metadata["image_root"] = str(tmp_path / "gone")
    assert command.find_pictures(detector, None) == []
    assert "gone: upload some, or give --images" in capsys.readouterr().err


def test_without_nicegui_the_tool_says_how_to_get_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "nonlocal_det.explorer.serve", raising=False)
    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(ImportError, match=r"pip install 'nonlocal_det\[explore\]', or nicegui"):
        command.run_explorer(SimpleNamespace())
