"""tools/README.md cannot rot: every tool is in it, and every command is one its tool takes."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from trained_model import NAME, SMALL, save_weights

from nonlocal_det import model_zoo
from nonlocal_det.data import import_cv2
from nonlocal_det.inference.sources import VideoFile
from nonlocal_det.synthetic.mini_coco import make_mini_coco

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "tools" / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if not line.startswith("#")
]


class ParsedError(Exception):
    """The tool's own parser took the words; nothing was done yet."""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_tool_takes_the_command(command, monkeypatch):
    python, tool, *words = shlex.split(command)
    assert python == "python"
    for method in ("parse_args", "parse_intermixed_args"):
        take = getattr(argparse.ArgumentParser, method)

        def stop(parser, args=None, namespace=None, take=take):
            raise ParsedError(take(parser, args, namespace))

        monkeypatch.setattr(argparse.ArgumentParser, method, stop)
    monkeypatch.setattr(sys, "argv", [tool, *words])
    monkeypatch.syspath_prepend(str((ROOT / tool).parent))  # as Python does for a script
    with pytest.raises(ParsedError) as parsed:
        runpy.run_path(str(ROOT / tool), run_name="__main__")
    (taken,) = parsed.value.args
    for key in ("config_file", "against"):
        value = getattr(taken, key, None) or []
        for name in [value] if isinstance(value, (str, Path)) else value:
            name = str(name).split("=")[0]  # of CONFIG=WEIGHTS
            if not name.endswith(".json"):
                path = str(ROOT / name) if name.startswith("configs/") else name
                assert model_zoo.find_config(path)


def test_every_tool_has_a_command():
    tools = {f"tools/{path.name}" for path in (ROOT / "tools").glob("*.py")}
    assert tools <= {command.split()[1] for command in COMMANDS}


SEE = [
    command
    for command in COMMANDS
    if re.search(r"tools/(demo|summarize_attention|draw_figures|visualize_data)\.py", command)
]


class Camera:
    """Two frames of nothing."""

    def __init__(self, number):
        self.left = 2

    def isOpened(self):
        return True

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((64, 64, 3), 70, np.uint8)

    def release(self):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As after the quickstart, but with few small images and random weights."""
    root = tmp_path_factory.mktemp("quickstart")
    make_mini_coco(root / "datasets", num_train=4, num_val=3, size=64)
    run = root / "output" / NAME
    run.mkdir(parents=True)
    save_weights(run / "model_final.pth")
    video = VideoFile(root / "walk.mp4", 5)
    for value in (50, 150):
        video.write(np.full((64, 64, 3), value, np.uint8))
    video.close()
    return root


@pytest.mark.slow
@pytest.mark.parametrize("command", SEE)
def test_the_commands_to_see_what_a_model_does_run(command, folder, tmp_path, monkeypatch):
    _, tool, *words = shlex.split(command)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DETECTRON2_DATASETS", raising=False)
    if "draw_figures" in tool:  # the data is as small as the fixture has made it
        monkeypatch.setattr("nonlocal_det.inference.readme_figure.make_drawn_data", lambda: None)
    if "--webcam" in words:
        monkeypatch.setattr(import_cv2(), "VideoCapture", Camera)
    where = words.index("--output-dir" if "--output-dir" in words else "--output") + 1
    words[where] = str(tmp_path / "out" / Path(words[where]).name)
    if "--threshold" not in words and "--output-dir" not in words:
        words += ["--threshold", "0"]
    options = [] if "--output-dir" in words else SMALL
    monkeypatch.setattr(sys, "argv", [tool, *words, *options])
    runpy.run_path(str(ROOT / tool), run_name="__main__")
    assert any((tmp_path / "out").iterdir())
