"""SIGTERM and SIGINT: noted by a training, obeyed at once the second time."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_training import OPTIONS

from nonlocal_det.training.signals import STOPPING, Stopped, StopSignals

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_noted_and_nothing_else(number):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert signals.number == 0
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert signals.number == number
        with pytest.raises(Stopped) as stop, signals.interruptible():
            pytest.fail("it was entered")
        assert stop.value.code == 128 + number
    assert signal.getsignal(number) is before
    assert signals.number == 0
    with signals.interruptible():
        pass  # the next training's


def terminate_and_wait(signals: StopSignals) -> None:
    with signals.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        pytest.fail("it went on")


def test_what_can_be_left_is_left_at_once():
    with StopSignals() as signals:
        with pytest.raises(Stopped) as stop:
            terminate_and_wait(signals)
        assert stop.value.code == 143
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)  # the launcher's, of the same moment
        time.sleep(0.1)


def test_the_first_of_two_kinds_counts():
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        assert signals.number == signal.SIGINT


def python(code: str) -> subprocess.Popen:
    folder = ROOT / "nonlocal_det" / "training"  # the module alone: torch takes seconds to import
    words = [sys.executable, "-c", f"import signals\n{code}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


DEAF = """
import hashlib, threading
signals.DEAF, signals.TOGETHER = 1.0, 0.5
with signals.StopSignals():
    threading.Timer(0.5, lambda: print("ready", flush=True)).start()  # from within the next line
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in C, as a collective
"""


def test_the_second_signal_ends_a_process_that_hears_nothing():
    process = python(DEAF.replace("= 1.0", "= 100.0"))
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # together: one
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_a_process_that_never_takes_note_ends():
    process = python(DEAF)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [True, False])
def test_the_command_ends_soon_after_its_step(mini_coco, tmp_path, whole_group):
    """With loading processes, which a scheduler's signal reaches as well."""
    command = [sys.executable, str(ROOT / "tools" / "train_net.py"), "--config-file"]
    command += ["quick/nl_mask_keypoint_rcnn_R18", *OPTIONS, "SOLVER.MAX_ITER", "10000"]
    command += ["OUTPUT_DIR", str(tmp_path), "DATALOADER.NUM_WORKERS", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    training = subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.PIPE
    )
    tag = tmp_path / "last_checkpoint"
    while not tag.is_file() and training.poll() is None:
        time.sleep(0.05)
    (os.killpg if whole_group else os.kill)(training.pid, signal.SIGTERM)
    sent = time.monotonic()
    assert training.wait(60) == 143, training.stderr.read().decode()[-2000:]
    assert time.monotonic() - sent < 20
    said = re.search(r"SIGTERM: stopped after iteration (\d+)", (tmp_path / "log.txt").read_text())
    assert (tmp_path / tag.read_text()).name == f"model_{int(said[1]) - 1:07d}.pth"
    assert not list(tmp_path.glob(".*.partial"))
