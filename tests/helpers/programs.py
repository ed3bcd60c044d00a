"""Programs as a user starts them: Python in a process that finds the package and the helpers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HELPERS = Path(__file__).parent
ROOT = HELPERS.parents[1]
TRAIN = ROOT / "tools" / "train_net.py"


def start(*words: object, **options) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, HELPERS)))
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **options)


def run_program(*words: object, timeout: float = 600) -> tuple[int, str]:
    """The exit status, and what it printed."""
    process = start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.communicate(timeout=timeout)[0]
    return process.returncode, said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
