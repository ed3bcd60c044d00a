"""The training command under torchrun: several processes, two machines, a restart."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from tiny_training import CONFIG, TINY

from nonlocal_det.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def train_command(out: Path, *options: str, iterations: int) -> list[str]:
    flags = [option for option in options if option.startswith("--")]
    pairs = [option for option in options if not option.startswith("--")]
    command = [str(ROOT / "tools" / "train_net.py"), "--config-file", CONFIG, *flags]
    command += ["OUTPUT_DIR", str(out), "SOLVER.MAX_ITER", str(iterations), *TINY, *pairs]
    return [*command, "MODEL.KEYPOINT_ON", "False", "MODEL.MASK_ON", "False"]


def start(torchrun: list[str], command: list[str], log: Path) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("w") as file:
        return subprocess.Popen(
            [*TORCHRUN, *torchrun, *command], cwd=ROOT, env=env, stdout=file, stderr=file
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_machines_train_save_and_evaluate_together(mini_coco, tmp_path):
    port = str(free_port())
    shared = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    machines = [
        start(
            [*shared, "--master-port", port, "--node-rank", rank],
            train_command(
                tmp_path / "out", "--scale-lr", "SOLVER.IMS_PER_BATCH", "8", iterations=1
            ),
            tmp_path / f"{rank}.txt",
        )
        for rank in ("0", "1")
    ]
    assert [m.wait(timeout=110) for m in machines] == [0, 0], (tmp_path / "0.txt").read_text()
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "World size: 2" in log
    assert "2 processes with 1 images each: SOLVER.IMS_PER_BATCH=2, BASE_LR=0.00025" in log
    assert "MAX_ITER=4, scaled from 8, 0.001 and 1 for 8 processes" in log
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["iterations"] == 4
    assert set(result["metrics"]) == {"bbox"}


def workers(torchrun: subprocess.Popen) -> dict[str, int]:
    """The process ids of torchrun's processes by their ranks."""
    found = {}
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    for pid in children:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks = [one.removeprefix(b"RANK=") for one in environ if one.startswith(b"RANK=")]
        if ranks:
            found[ranks[0].decode()] = int(pid)
    return found


def wait_for(condition, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def start_elastic(machines: int, command: list[str], log: Path) -> list[subprocess.Popen]:
    """Two processes on one machine or on two, which torchrun starts once more."""
    shared = ["--max-restarts", "1", "--nproc-per-node", str(2 // machines)]
    if machines == 1:
        return [start([*shared, "--standalone"], command, log.with_suffix(".0"))]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    shared += ["--nnodes", "2", *meeting, "--local-addr", "127.0.0.1"]
    return [start(shared, command, log.with_suffix(f".{number}")) for number in range(machines)]


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_after_a_kill_torchrun_continues_exactly(machines, mini_coco, tmp_path):
    whole, killed, said = tmp_path / "whole", tmp_path / "killed", tmp_path / "said"
    options = ("SOLVER.CHECKPOINT_PERIOD", "3")

    def begin(out):
        return start_elastic(machines, train_command(out, *options, iterations=12), said)

    def end(running):
        codes = [one.wait(timeout=110) for one in running]
        texts = [said.with_suffix(f".{number}").read_text() for number in range(machines)]
        assert codes == [0] * machines, "\n".join(text[-5000:] for text in texts)
        return "".join(texts)

    end(begin(whole))
    running = begin(killed)
    wait_for(lambda: (killed / "model_0000005.pth").is_file())
    os.kill({rank: pid for one in running for rank, pid in workers(one).items()}["1"], SIGKILL)
    assert f"failed (exitcode: -9) local_rank: {2 - machines}" in end(running)
    result = json.loads((killed / "result.json").read_text())
    assert result["first_iteration"] in (6, 9)  # the kill may come after the next save
    expected, found = (read_checkpoint(out / "model_final.pth") for out in (whole, killed))
    assert found["iteration"] == expected["iteration"] == 11
    for name, value in expected["model"].items():
        assert torch.equal(found["model"][name], value), name
    metrics = [json.loads((out / "result.json").read_text())["metrics"] for out in (whole, killed)]
    assert str(metrics[0]) == str(metrics[1])
