"""Every verb's --help has examples; its parser takes them, and those that show something run."""

import argparse
import re
import shlex
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from trained_model import NAME, SMALL, save_weights

from nonlocal_det import __main__ as program
from nonlocal_det import model_zoo
from nonlocal_det.data import import_cv2
from nonlocal_det.inference.sources import VideoFile
from nonlocal_det.synthetic.mini_coco import make_mini_coco


def examples(verb: str) -> list[list[str]]:
    """The words after the verb of each example in its help."""
    out = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), suppress(SystemExit):
        patch.setattr(sys, "argv", ["", verb, "--help"])
        program.main()
    text = out.getvalue().replace("\\\n", " ")
    found = re.findall(rf"^  {program.PROGRAM} {verb}(.*)$", text, flags=re.MULTILINE)
    return [shlex.split(words, comments=True) for words in found]


EXAMPLES = [(verb, words) for verb in program.VERBS for words in examples(verb)]


def identify(value):
    return value if isinstance(value, str) else " ".join(value)


class ParsedError(Exception):
    """The verb's own parser took the words; nothing was done yet."""


def test_every_verb_has_an_example():
    assert {verb for verb, _ in EXAMPLES} == set(program.VERBS)


@pytest.mark.parametrize(("verb", "words"), EXAMPLES, ids=identify)
def test_the_verb_takes_its_example(verb, words, monkeypatch):
    for method in ("parse_args", "parse_intermixed_args"):
        take = getattr(argparse.ArgumentParser, method)

        def stop(parser, args=None, namespace=None, take=take):
            raise ParsedError(take(parser, args, namespace))

        monkeypatch.setattr(argparse.ArgumentParser, method, stop)
    monkeypatch.setattr(sys, "argv", ["", verb, *words])
    with pytest.raises(ParsedError) as parsed:
        program.main()
    (taken,) = parsed.value.args
    for key in ("config_file", "against"):
        value = getattr(taken, key, None) or []
        for name in [value] if isinstance(value, (str, Path)) else value:
            name = str(name).split("=")[0]  # of CONFIG=WEIGHTS
            if not name.endswith(".json"):
                assert model_zoo.find_config(name)


SEE = [
    (verb, words)
    for verb, words in EXAMPLES
    if verb in ("demo", "summarize-attention", "draw-figures", "visualize-data")
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
@pytest.mark.parametrize(("verb", "words"), SEE, ids=identify)
def test_the_examples_that_show_what_a_model_does_run(verb, words, folder, tmp_path, monkeypatch):
    words = list(words)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DETECTRON2_DATASETS", raising=False)
    if verb == "draw-figures":  # the data is as small as the fixture has made it
        monkeypatch.setattr("nonlocal_det.cli.draw_figures.make_drawn_data", lambda: None)
    if "--webcam" in words:
        monkeypatch.setattr(import_cv2(), "VideoCapture", Camera)
    if "--weights" in words:
        words[words.index("--config-file") + 1] = NAME
        words[words.index("--weights") + 1] = f"output/{NAME}/model_final.pth"
    option = "--output-dir" if verb == "visualize-data" else "--output"
    if option in words:
        del words[words.index(option) : words.index(option) + 2]
    words += [option, str(tmp_path / "out" / ("picture.png" if verb == "draw-figures" else ""))]
    if verb != "visualize-data":
        words = [*words, *([] if "--threshold" in words else ["--threshold", "0"]), *SMALL]
    monkeypatch.setattr(sys, "argv", ["", verb, *words])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert not end.value.code
    assert any((tmp_path / "out").iterdir())
