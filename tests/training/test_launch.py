"""Processes that the launcher starts: they work together, and none outlives another's loss."""

import datetime
import signal
import socket
import time
from pathlib import Path

import pytest
import several_processes
import shared_batch
import torch
from programs import TRAIN, free_port, run_program, start, wait_for
from tiny_training import TINY
from torchvision.ops import boxes as box_ops

from nonlocal_det.cli.train import main
from nonlocal_det.training import launch

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


def launch_script(folder: Path, call: str) -> Path:
    code = "import several_processes, sys; from nonlocal_det.training import launch\n"
    code += f"if __name__ == '__main__': launch({call}, device='cpu', args=({str(folder)!r},))"
    (folder / "script.py").write_text(code)
    return folder / "script.py"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_processes_and_waits_for_what_they_save(number, tmp_path):
    script = launch_script(tmp_path, "several_processes.finish_on_signal, 2")
    process = start(script, start_new_session=True)
    wait_for(lambda: len(list(tmp_path.glob("ready*"))) == 2)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert {path.name for path in tmp_path.glob("saved*")} == {"saved0", "saved1"}


@pytest.mark.slow
def test_two_machines_meet_at_the_first_ones_address(tmp_path):
    call = "several_processes.report, 1, num_machines=2, machine_rank=int(sys.argv[1])"
    url = f"tcp://127.0.0.1:{free_port()}"
    script = launch_script(tmp_path, f"{call}, dist_url={url!r}")
    machines = [start(script, rank) for rank in ("1", "0")]
    assert [machine.wait(timeout=90) for machine in machines] == [0, 0]
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["2 0 1 3 1"] * 2


@pytest.mark.slow
def test_two_cpu_processes_train_one_step(mini_coco, tmp_path):
    words = ["--num-gpus", "2", *CONFIG, "--dist-url", "auto", "OUTPUT_DIR", tmp_path]
    words += ["SOLVER.MAX_ITER", "1", *TINY]
    status, said = run_program(TRAIN, *words)
    assert status == 0, said[-2000:]
    log = (tmp_path / "log.txt").read_text()
    assert "World size: 2" in log
    assert "2 processes with 1 images each: SOLVER.IMS_PER_BATCH=2, BASE_LR=0.001" in log
    assert (tmp_path / "model_final.pth").is_file()
    metrics = (tmp_path / "metrics.json").read_text()
    assert "total_loss" in metrics
    assert '"nl_response/backbone.bottom_up.res4.nl0"' in metrics  # as with one process
    assert "Evaluation results for keypoints" in log


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(few_threads, tmp_path, monkeypatch):
    """Several with a share of the batch each, and one with all of it."""
    monkeypatch.setattr(torch, "randperm", torch.randperm)  # `gradients` replaces both
    monkeypatch.setattr(box_ops, "nms", box_ops.nms)
    launch(shared_batch.gradients, 2, device="cpu", args=(str(tmp_path),))
    shared_batch.gradients(str(tmp_path))
    one = torch.load(tmp_path / "0_of_1.pth")
    trained = [name for name, gradient in one.items() if gradient.abs().max() > 1e-12]
    parts = {name.split(".")[0] for name in trained}
    assert parts == {"backbone", "proposal_generator", "roi_heads"}
    assert sum(".nl" in name for name in trained) > 5 * 5  # five blocks, without cancelled biases
    for rank in (0, 1):
        share = torch.load(tmp_path / f"{rank}_of_2.pth")
        for name, expected in one.items():
            atol = 1e-5 * expected.abs().max().item() + 1e-12
            torch.testing.assert_close(share[name], expected, rtol=0, atol=atol, msg=name)
