"""tools/README.md cannot rot: every tool is in it, and every command is one its tool takes."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from nonlocal_det import model_zoo

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
    take = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None):
        raise ParsedError(take(parser, args, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [tool, *words])
    with pytest.raises(ParsedError) as parsed:
        runpy.run_path(str(ROOT / tool), run_name="__main__")
    (taken,) = parsed.value.args
    for key in ("config_file", "against"):
        name = getattr(taken, key, None)
        if name and not str(name).endswith(".json"):
            assert model_zoo.find_config(str(ROOT / name) if name.startswith("configs/") else name)


def test_every_tool_has_a_command():
    tools = {f"tools/{path.name}" for path in (ROOT / "tools").glob("*.py")}
    assert tools == {command.split()[1] for command in COMMANDS}
