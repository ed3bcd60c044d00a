"""README.md cannot rot: its Python runs; its commands name tools, options and configs we have."""

import re
import shlex
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from nonlocal_det import model_zoo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line.split("  #")[0].strip()
    for language, code in BLOCKS
    if language == "bash"
    for line in code.splitlines()
    if line.strip()
]


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run_and_print_what_they_say(code, tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-2000:]
    said = re.findall(r"^print\(.*\)\s+# (.*)", code, flags=re.MULTILINE)
    assert said
    for comment, line in zip(said, result.stdout.strip().splitlines(), strict=True):
        assert comment.startswith(line)


@lru_cache
def usage_of(tool: Path) -> str:
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(tool), "--help"], capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_what_exists(command):
    words = shlex.split(command)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return
    if words[0] == "pip":
        assert words[1] == "install"
        return
    assert words[0] in ("python", "torchrun")
    words = words[words.index(next(word for word in words if word.endswith(".py"))) - 1 :]
    tool = ROOT / words[1]
    assert tool.is_file()
    usage = usage_of(tool)
    for word in words[2:]:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", usage), f"{tool.name} has no option {word}"
        if word.endswith(".yaml"):
            assert model_zoo.find_config(str(ROOT / word))


def test_the_two_commands_come_first():
    assert COMMANDS[:2] == ["make quickstart", "make test"]


def test_pins_are_those_of_requirements():
    pins = (ROOT / "requirements.txt").read_text()
    for pin in re.findall(r"torch(?:vision)?==[\d.]+", README):
        assert pin in pins


def test_every_config_key_is_in_the_table_with_its_default():
    node = model_zoo.get_config("mask_rcnn_R50").MODEL.NONLOCAL
    for key, value in node.items():
        row = re.search(rf"^\| `{key}` \| (.*?) \|", README, flags=re.MULTILINE)
        assert row, f"README has no row for {key}"
        shown = "null" if value is None else str(value) or '""'
        assert shown in row[1].replace("`", ""), (key, row[1])


def test_readme_is_short():
    assert len(README.splitlines()) <= 150
