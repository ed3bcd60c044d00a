"""Processes as a shell would treat them: signals, groups, exit statuses."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


def shell_line(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """A command, with the environment variables that it is given, for a user to repeat."""
    words = ["python" if word == sys.executable else word for word in command]
    return "".join(f"{key}={value} " for key, value in variables.items()) + shlex.join(words)


def kill_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process that leads a group, and to all that it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # all of it has ended


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """The numbers of SIGINT and SIGTERM as they come in, instead of their usual effect."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reason(code: int) -> str:
    """How a process ended that has not finished its work."""
    if code == 0:
        return "ended without a result.json"
    if code in (128 + signal.SIGTERM, 128 + signal.SIGINT):
        return f"stopped by {signal.Signals(code - 128).name} and saved"
    return f"exit status {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "(nothing printed)")
