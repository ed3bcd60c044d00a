"""The documents cannot rot: their Python and commands run, their links and messages are there."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import TINY
from trained_model import NAME, SMALL, save_weights

from nonlocal_det import __main__ as program
from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.synthetic.moving_clips import make_moving_clips

ROOT = Path(__file__).parents[1]
DOCS = [path for path in ROOT.glob("docs/**/*.md") if path.parts[-2] != "generated"]
PAGES = {str(path.relative_to(ROOT)): path for path in [*ROOT.glob("*.md"), *DOCS]}
TEXTS = {name: path.read_text() for name, path in PAGES.items()}


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[name], flags=re.DOTALL | re.MULTILINE)


def commands(name: str) -> list[list[str]]:
    lines = "".join(blocks(name, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


ELSEWHERE = {"docs/kernels.md", "docs/points.md"}  # run by test_examples.py, layers/test_points.py
PYTHON = [name for name in TEXTS if blocks(name, "python") and name not in ELSEWHERE]
COMMANDS = [(name, words) for name in TEXTS for words in commands(name)]


@pytest.mark.parametrize("name", PYTHON)
def test_python_blocks_run_and_print_what_they_say(name, tmp_path):
    code = "\n".join(blocks(name, "python"))
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-2000:]
    expected = re.findall(r"^\s*print\(.*\)\s+# (.*)", code, flags=re.MULTILINE)
    assert expected
    for comment, line in zip(expected, result.stdout.strip().splitlines(), strict=True):
        assert comment.startswith(line)


class ParsedError(Exception):
    """The parser took the words; nothing was done yet."""


def stop(parser, args=None, namespace=None, take=argparse.ArgumentParser.parse_known_args):
    taken, unknown = take(parser, args, namespace)
    raise ParsedError(taken, unknown)


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=lambda x: x if x == str(x) else x[0])
def test_commands_are_ones_that_there_are(name, words, monkeypatch):
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return
    if words[0] == "python" and words[1].startswith(("tools/", "benchmarks/")):
        assert (ROOT / words[1]).is_file()
        return
    if words[0] in ("pip", "source"):
        return
    assert "nonlocal_det" in words, words
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
    monkeypatch.setattr(sys, "argv", words[words.index("nonlocal_det") :])
    with pytest.raises(ParsedError) as parsed:
        program.main()
    taken, unknown = parsed.value.args
    assert not [word for word in unknown if word.startswith("-")]
    assert not [word for word in getattr(taken, "opts", None) or [] if word.startswith("--")]


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings(name):
    text = re.sub(r"```.*?```", "", TEXTS[name], flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = PAGES[name].parent / file if file else PAGES[name]
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_messages_of_the_errors_page_are_those_of_the_code():
    # without what joins the pieces of a text over lines, and without f-strings' braces
    files = (ROOT / "nonlocal_det").rglob("*.py")
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))
    of_others = {"No module named 'torch'", "invalid command 'bdist_wheel'", "AssertionError"}
    of_others |= {"Non-existent config key: MODEL.NONLOCAL", "No object named 'build_nonlocal"}
    of_others |= {"heatmaps_to_keypoints"}
    cells = re.findall(r"^\| (`.*?) \|", TEXTS["docs/errors.md"], flags=re.MULTILINE)
    messages = [part for cell in cells for part in re.findall(r"`([^`]*)`", cell)]
    assert len(messages) > 20
    assert [part for part in messages if part not in source and part not in of_others] == []


def test_readme_has_the_order_that_readers_need_and_short_lines():
    text = TEXTS["README.md"]
    heads = ["Install", "Two commands", "Three examples", "Results", "In the box", "Limits"]
    assert re.findall(r"^## (.*)", text, flags=re.MULTILINE)[:6] == heads
    lines = [line for line in text.splitlines() if not line.startswith(("|", "!"))]
    assert max(map(len, lines)) <= 130


def test_pins_are_those_of_requirements():
    pins = (ROOT / "requirements.txt").read_text()
    for text in TEXTS.values():
        for pin in re.findall(r"pip install (?:torch==\S+ torchvision==\S+)", text):
            assert all(word in pins for word in pin.split()[2:])


RUN = ["own_data", "videos", "attention", "several_machines"]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """As after the quickstarts, but with few small images and clips, and random weights."""
    root = tmp_path_factory.mktemp("quickstart")
    make_mini_coco(root / "datasets", num_train=8, num_val=2, size=64)
    make_moving_clips(root / "clips", num_train=8, num_val=8, size=32)
    (root / "clips" / "moving_clips").rename(root / "videos")
    (root / "output" / NAME).mkdir(parents=True)
    save_weights(root / "output" / NAME / "model_final.pth")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", RUN)
def test_the_commands_of_a_tutorial_run_one_after_the_other(tutorial, quickstart):
    few = ["SOLVER.MAX_ITER", "2", "SOLVER.IMS_PER_BATCH", "2", "SOLVER.STEPS", "()"]
    video = ["INPUT.VIDEO.CROP", "32", "INPUT.VIDEO.TEST_CLIPS", "1", "MODEL.DEVICE", "cpu"]
    for words in commands(f"docs/tutorials/{tutorial}.md"):
        if "HOST:29500" in words or "make-mini-coco" in words:  # two machines; there is such data
            continue
        words = (
            [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", *words[1:]]
            if (words[0] == "torchrun")
            else [sys.executable, "-W", "ignore", *words[1:]]
        )
        words = ["videos/val/left/00003.mp4" if word == "VIDEO" else word for word in words]
        if "train" in words:
            words += [*(video if tutorial == "videos" else TINY), *few]
        elif {"demo", "summarize-attention"} & set(words):
            words += SMALL
        result = subprocess.run(words, cwd=quickstart, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, (words, result.stderr[-2000:])
