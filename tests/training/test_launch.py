"""Processes that the launcher starts: they work together, and none outlives another's loss."""

import datetime
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import several_processes

from nonlocal_det.cli.train import main
from nonlocal_det.training import launch

ROOT = Path(__file__).parents[2]
SHORT = datetime.timedelta(seconds=4)
CONFIG = ["--config-file", "quick/nl_mask_keypoint_rcnn_R18"]


@pytest.fixture
def few_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-gpus", "0"], "--num-gpus 0 --num-machines 1 --machine-rank 0: expected 1 or more"),
        (["--num-machines", "2", "--machine-rank", "2"], "a rank from 0 to machines - 1"),
        (["--num-machines", "2", "--dist-url", "auto"], "--dist-url auto with --num-machines 2"),
        (["--num-gpus", "2", "--dist-url", "here"], "--dist-url here: expected tcp://HOST:PORT"),
        (["--num-gpus", "2", "--dist-url", "tcp://127.0.0.1"], "expected tcp://HOST:PORT"),
        (["--num-gpus", "2", "--dist-url", "tcp://127.0.0.1:99999"], "a port below 65536"),
    ],
)
def test_processes_that_cannot_be_are_refused(options, said):
    with pytest.raises(SystemExit, match=said) as stop:
        main([*options, *CONFIG, "MODEL.DEVICE", "cpu"])
    assert str(stop.value).startswith("error: ")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ValueError, match="--num-gpus 2, but this machine has 1 GPUs"):
        launch(several_processes.report, 2, device="cuda")


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"{url[6:]}: cannot listen.*--dist-url auto"):
            launch(several_processes.report, 2, dist_url=url, device="cpu")


@pytest.mark.parametrize("minutes", ["0", "-1", "soon", "inf"])
def test_a_timeout_that_is_none_is_refused(minutes, capsys):
    with pytest.raises(SystemExit):
        main(["--timeout", minutes, *CONFIG])
    assert f"argument --timeout: '{minutes}': expected minutes" in capsys.readouterr().err


@pytest.mark.slow
def test_one_error_in_all_processes_is_one_line(few_threads, capfd):
    with pytest.raises(SystemExit) as stop:
        launch(several_processes.fail, 2, device="cpu", args=("mask_rcnn_R50",))
    assert stop.value.code == 1
    said = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1
    assert said[0].startswith("error: SOLVER.IMS_PER_BATCH=3 cannot be shared equally by 2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "how", "status", "said"),
    [
        (1, "killed", 137, "error: process 1 failed"),
        (0, "killed", 137, "error: process 0 failed"),
        (1, "exit", 3, "exitcode  : 3"),
        (1, "hung", 1, "error: process 1 of 2 ended or did not answer within 0.0666667 minutes"),
        (0, "stopped", 1, "error: process 0 of 2 ended or did not answer"),  # SIGTERM is no cure
    ],
)
def test_a_lost_process_ends_the_others_in_bounded_time(
    rank, how, status, said, few_threads, capfd
):
    start = time.monotonic()
    with pytest.raises(SystemExit) as stop:
        launch(several_processes.lose_one, 2, device="cpu", timeout=SHORT, args=(rank, how))
    assert stop.value.code == status
    assert time.monotonic() - start < 60
    assert said in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_processes_and_waits_for_what_they_save(number, tmp_path):
    code = (
        "import several_processes, sys; from nonlocal_det.training import launch\n"
        f"if __name__ == '__main__': launch(several_processes.finish_on_signal, 2, device='cpu', "
        f"args=({str(tmp_path)!r},))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'helpers'}",
    }
    process = subprocess.Popen([sys.executable, str(script)], env=env, start_new_session=True)
    end = time.monotonic() + 60
    while len(list(tmp_path.glob("ready*"))) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert {path.name for path in tmp_path.glob("saved*")} == {"saved0", "saved1"}


@pytest.mark.slow
def test_two_machines_meet_at_the_first_ones_address(few_threads, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    code = (
        "import several_processes, sys; from nonlocal_det.training import launch\n"
        "if __name__ == '__main__': launch(several_processes.report, 1, num_machines=2, "
        f"machine_rank=int(sys.argv[1]), dist_url={url!r}, device='cpu', args=({str(tmp_path)!r},))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'helpers'}"}
    machines = [
        subprocess.Popen([sys.executable, str(script), rank], env=env) for rank in ("1", "0")
    ]
    assert [machine.wait(timeout=90) for machine in machines] == [0, 0]
    assert (tmp_path / "0").read_text() == "2 0 1 3 1"
    assert (tmp_path / "1").read_text() == "2 0 1 3 1"


@pytest.mark.slow
def test_two_cpu_processes_train_one_step(mini_coco, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "train_net.py"), "--num-gpus", "2"]
    command += [*CONFIG, "--dist-url", "auto", "OUTPUT_DIR", str(tmp_path)]
    command += ["SOLVER.MAX_ITER", "1", "SOLVER.STEPS", "()", "SOLVER.IMS_PER_BATCH", "2"]
    command += ["INPUT.MIN_SIZE_TRAIN", "(64,)", "TEST.EXPECTED_RESULTS", "[]"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [*command, "MODEL.DEVICE", "cpu"], capture_output=True, text=True, cwd=ROOT, env=env
    )
    assert result.returncode == 0, result.stderr[-2000:]
    log = (tmp_path / "log.txt").read_text()
    assert "World size: 2" in log
    assert "2 processes with 1 images each: SOLVER.IMS_PER_BATCH=2, BASE_LR=0.03" in log
    assert (tmp_path / "model_final.pth").is_file()
    metrics = (tmp_path / "metrics.json").read_text()
    assert "total_loss" in metrics
    assert '"nl_response/backbone.bottom_up.res4.nl0"' in metrics  # as with one process
    assert "Evaluation results for keypoints" in log
