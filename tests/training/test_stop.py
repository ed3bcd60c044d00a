"""SIGTERM and SIGINT: a flag for the training, an end at once the second time."""

import os
import re
import signal
import time
from pathlib import Path
from subprocess import PIPE

import pytest
from killed_training import OPTIONS
from programs import HELPERS, TRAIN, start, wait_for
from tiny_training import CONFIG

from nonlocal_det.training.stop import STOPPING, StopFlag, Stopped


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_sets_a_flag_and_nothing_else(number):
    before = signal.getsignal(number)
    with StopFlag() as flag:
        assert flag.number == 0
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # at the same moment: one
        assert flag.number == number
        with pytest.raises(Stopped) as stop, flag.interruptible():
            pytest.fail("it was entered")
        assert stop.value.code == 128 + number
    assert signal.getsignal(number) is before
    assert flag.number == 0
    with flag.interruptible():
        pass  # the next training's


def stop_within(flag: StopFlag) -> None:
    with flag.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it went on")


def test_an_evaluation_is_left_at_once():
    with StopFlag() as flag:
        with pytest.raises(Stopped) as stop:
            stop_within(flag)
        assert stop.value.code == 143
        os.kill(os.getpid(), signal.SIGTERM)  # the launcher's, of the same moment


@pytest.mark.parametrize(("held", "status"), [(False, 130), (True, 143)])
def test_a_second_signal_ends_the_process_unless_it_saves(held, status):
    code = "import time; from nonlocal_det.training import stop\nstop.TOGETHER = 0.5\n"
    code += "with stop.StopFlag() as flag:\n print('ready', flush=True)\n"
    code += " while not flag.number: time.sleep(0.01)\n"
    code += " flag.hold()\n" * held
    code += " time.sleep(2)\n raise stop.Stopped(flag.number)"
    process = start("-c", code, stdout=PIPE)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == status


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("whole_group", [True, False])
def test_the_command_ends_soon_after_its_step(mini_coco, tmp_path, processes, whole_group):
    """With loading processes, which a scheduler's signal reaches as well."""
    words = ["--num-gpus", processes, "--config-file", CONFIG, *OPTIONS, "OUTPUT_DIR", tmp_path]
    words += ["SOLVER.MAX_ITER", 10000, "TEST.EVAL_PERIOD", 0, "DATALOADER.NUM_WORKERS", 2]
    with (tmp_path / "stderr").open("w") as stderr:
        training = start(TRAIN, *words, start_new_session=True, stderr=stderr)
    tag = tmp_path / "last_checkpoint"
    wait_for(lambda: tag.is_file() or training.poll() is not None)
    (os.killpg if whole_group else os.kill)(training.pid, signal.SIGTERM)
    sent = time.monotonic()
    training.wait(timeout=60)
    said = (tmp_path / "stderr").read_text()
    assert training.returncode == 143, said[-2000:]
    assert time.monotonic() - sent < 20
    assert not re.search("^(error|Traceback)", said, flags=re.MULTILINE)
    assert "Error" not in said
    log = (tmp_path / "log.txt").read_text()
    stopped = re.search(r"SIGTERM: stopped after iteration (\d+)", log)
    assert stopped is not None
    assert (tmp_path / tag.read_text()).name == f"model_{int(stopped[1]) - 1:07d}.pth"
    assert not list(tmp_path.glob(".*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["all", "the one that evaluates"])
@pytest.mark.parametrize("longest", [0, 1])
@pytest.mark.parametrize(("backend", "start_at"), [("gloo", 0), ("gloo", 2), ("nccl", 0)])
def test_an_evaluation_that_one_process_leaves_ends_all_and_the_step_is_saved(
    backend, start_at, longest, asked, tmp_path
):
    """Processes finish an evaluation one after the other, so the others wait for the longest.

    One that resumes at 2 repeats the evaluation before its first step: there is nothing to save.
    """
    words = ["stopped_processes.py", tmp_path, longest, backend, start_at]
    training = start(HELPERS / words[0], *words[1:], start_new_session=True)
    pids = [tmp_path / "0.pid", tmp_path / "1.pid"]
    wait_for(lambda: all(map(Path.is_file, pids)))
    time.sleep(0.5)  # until the other is inside the collective
    if asked == "all":
        os.killpg(training.pid, signal.SIGTERM)
    else:
        os.kill(int(pids[longest].read_text()), signal.SIGTERM)
    assert training.wait(30) == 143
    assert (tmp_path / f"{longest}.status").read_text() == "143"
    if backend == "gloo" and asked == "all":
        assert (tmp_path / f"{1 - longest}.status").read_text() == "143"
    saved = tmp_path / "saved.txt"
    assert (saved.read_text() if saved.is_file() else "") == ("" if start_at else "model_0000001\n")
