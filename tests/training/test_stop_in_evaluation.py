"""A signal during an evaluation, which processes finish one after the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "helpers" / "stopped_processes.py"


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["all", "the one that evaluates"])
@pytest.mark.parametrize("longest", [0, 1])
@pytest.mark.parametrize("backend", ["gloo", "nccl"])
def test_who_waits_for_an_evaluation_that_was_left_ends_as_asked(backend, longest, asked, tmp_path):
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(SCRIPT.parents[2]), str(SCRIPT.parent)]),
    }
    words = [sys.executable, str(SCRIPT), str(tmp_path), str(longest), backend]
    training = subprocess.Popen(words, env=environment, start_new_session=True)
    pids = [tmp_path / "0.pid", tmp_path / "1.pid"]
    end = time.monotonic() + 60
    while not all(map(Path.is_file, pids)):
        assert training.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)  # until the other is inside the collective
    if asked == "all":
        os.killpg(training.pid, signal.SIGTERM)
    else:
        os.kill(int(pids[longest].read_text()), signal.SIGTERM)
    assert training.wait(30) == 143
    assert [(tmp_path / f"{rank}.status").read_text() for rank in (0, 1)] == ["143", "143"]
    assert (tmp_path / "saved.txt").read_text() == "model_0000001\n"
