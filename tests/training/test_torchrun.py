"""The training command under torchrun: several processes, two machines, a restart."""

import os
from pathlib import Path
from signal import SIGKILL
from subprocess import Popen

import pytest
from programs import TRAIN, free_port, start, wait_for
from tiny_training import CONFIG, TINY, load, result, same
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.training.exact_resume import was_restarted

BOXES = ["MODEL.KEYPOINT_ON", "False", "MODEL.MASK_ON", "False"]


def train(log: Path, torchrun: list[str], out: Path, *words: str, iterations: int) -> Popen:
    command = ["-m", "torch.distributed.run", *torchrun, TRAIN, "--config-file", CONFIG]
    flags = [word for word in words if word.startswith("--")]
    pairs = [word for word in words if not word.startswith("--")]
    options = ["OUTPUT_DIR", out, "SOLVER.MAX_ITER", iterations, *TINY, *pairs, *BOXES]
    with log.open("w") as file:
        return start(*command, *flags, *options, stdout=file, stderr=file)


@pytest.mark.slow
def test_two_machines_train_save_and_evaluate_together(mini_coco, tmp_path):
    shared = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    shared += ["--master-port", str(free_port()), "--node-rank"]
    out, options = tmp_path / "out", ("--scale-lr", "SOLVER.IMS_PER_BATCH", "8")
    machines = [
        train(tmp_path / f"{rank}.txt", [*shared, rank], out, *options, iterations=1)
        for rank in ("0", "1")
    ]
    assert [m.wait(timeout=110) for m in machines] == [0, 0], (tmp_path / "0.txt").read_text()
    log = (out / "log.txt").read_text()
    assert "World size: 2" in log
    assert "2 processes with 1 images each: SOLVER.IMS_PER_BATCH=2, BASE_LR=0.00025" in log
    assert "MAX_ITER=4, scaled from 8, 0.001 and 1 for 8 processes" in log
    assert result(out)["iterations"] == 4
    assert set(result(out)["metrics"]) == {"bbox"}


def workers(torchrun: Popen) -> dict[str, int]:
    """The process ids of torchrun's processes by their ranks."""
    found = {}
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    for pid in children:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks = [one.removeprefix(b"RANK=") for one in environ if one.startswith(b"RANK=")]
        if ranks:
            found[ranks[0].decode()] = int(pid)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_after_a_kill_torchrun_continues_exactly(machines, mini_coco, tmp_path):
    """Two processes on one machine or on two, which torchrun starts once more."""
    logs = [tmp_path / f"said.{number}" for number in range(machines)]

    def begin(out):
        shared = ["--max-restarts", "1", "--nproc-per-node", str(2 // machines)]
        if machines == 1:
            shared += ["--standalone"]
        else:
            shared += ["--nnodes", "2", "--local-addr", "127.0.0.1", "--rdzv-backend", "c10d"]
            shared += ["--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
        period = ("SOLVER.CHECKPOINT_PERIOD", "3")
        return [train(log, shared, out, *period, iterations=12) for log in logs]

    def end(running):
        codes = [one.wait(timeout=110) for one in running]
        texts = [log.read_text() for log in logs]
        assert codes == [0] * machines, "\n".join(text[-5000:] for text in texts)
        return "".join(texts)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    end(begin(whole))
    running = begin(killed)
    wait_for(lambda: (killed / "model_0000005.pth").is_file())
    os.kill({rank: pid for one in running for rank, pid in workers(one).items()}["1"], SIGKILL)
    assert f"failed (exitcode: -9) local_rank: {2 - machines}" in end(running)
    assert result(killed)["first_iteration"] in (6, 9)  # the kill may come after the next save
    assert load(killed)["iteration"] == load(whole)["iteration"] == 11
    assert same(load(killed)["model"], load(whole)["model"])
    assert str(result(killed)["metrics"]) == str(result(whole)["metrics"])


@pytest.fixture
def started(monkeypatch, tmp_path):
    """A start of the processes: torchrun's ``count``-th restart of at most ``most``."""

    def start(count: int, most: int = 3) -> bool:
        monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", str(most))
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(count))
        return was_restarted(tmp_path)

    return start


def save(folder):
    SafeCheckpointer(nn.Linear(1, 1), str(folder)).save("model_0000001")


def test_without_torchrun_a_start_is_a_start(tmp_path):
    save(tmp_path)
    assert not was_restarted(tmp_path)


def test_without_restarts_it_may_train_over_what_is_there(started, tmp_path):
    save(tmp_path)
    assert not started(0, most=0)


def test_a_restart_continues_also_before_the_first_checkpoint(started, tmp_path):
    assert not started(0)
    assert started(1)
    save(tmp_path)
    assert started(2)


def test_an_earlier_training_is_refused_and_refused_by_the_restart_too(started, tmp_path):
    assert not started(0)
    save(tmp_path)  # and the training ends
    for count in (0, 1, 2):
        with pytest.raises(ValueError, match="holds an earlier training's checkpoints.*--resume"):
            started(count)
