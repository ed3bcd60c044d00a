"""Run commands and announce changes: in one place, for tests to replace."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

PIP = (sys.executable, "-m", "pip")


class InstallError(RuntimeError):
    """The reason why the installation stopped, and its cure."""


class Finished(NamedTuple):
    """A command that has ended: its exit code, and its standard output and error together."""

    code: int
    output: str

    def tail(self, lines: int = 20) -> str:
        """The last lines of the output, where tools say what went wrong."""
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


Runner = Callable[[Sequence[str], float | None], Finished]


def run_command(command: Sequence[str], timeout: float | None = None) -> Finished:
    """Run a command that cannot prompt, and kill it after `timeout` seconds if there is one.

    Returns:
        The result; code 127 if the program does not exist and 124 if its time ran out.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # A file, not a pipe: git's own helpers would hold a pipe open after git has been killed.
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env=environment,
            ).returncode
        except FileNotFoundError:
            return Finished(127, f"{command[0]}: not found")
        except subprocess.TimeoutExpired:
            return Finished(124, f"{command[0]}: no answer within {timeout:g} seconds")
        output.seek(0)
        return Finished(code, output.read().decode(errors="replace"))


@dataclass(frozen=True)
class Steps:
    """Announce every step, and in a dry run do only those that change nothing.

    Args:
        run: runs a command; `run_command` or a test's replacement.
        say: prints one line.
        dry_run: print what would be done and change nothing.
    """

    run: Runner = run_command
    say: Callable[[str], None] = partial(print, flush=True)
    dry_run: bool = False

    def begin(self, step: str) -> bool:
        """Announce a change; False in a dry run, where it must not be made."""
        self.say(f"would {step}" if self.dry_run else step)
        return not self.dry_run

    def change(self, step: str, command: Sequence[str], cure: str = "see the output") -> None:
        """Run a command that changes something, unless this is a dry run.

        Raises:
            InstallError: the command fails; with the command, the end of its output and the cure.
        """
        if not self.begin(f"{step}: {shlex.join(command)}"):
            return
        finished = self.run(command, None)
        if finished.code:
            raise InstallError(
                f"{step}: failed with exit code {finished.code}\n"
                f"command: {shlex.join(command)}\n{finished.tail()}\nCure: {cure}"
            )
