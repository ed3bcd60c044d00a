"""Two processes on the CPU train one step together, through the launcher and the command."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the launcher uses the GPUs here")
def test_two_cpu_processes_train_one_step(mini_coco, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "train_net.py"), "--num-gpus", "2"]
    command += ["--config-file", "quick/nl_mask_keypoint_rcnn_R18"]
    command += ["--dist-url", f"tcp://127.0.0.1:{free_port()}", "OUTPUT_DIR", str(tmp_path)]
    command += ["SOLVER.MAX_ITER", "1", "SOLVER.STEPS", "()", "SOLVER.IMS_PER_BATCH", "2"]
    command += ["INPUT.MIN_SIZE_TRAIN", "(64,)", "TEST.EXPECTED_RESULTS", "[]"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    log = (tmp_path / "log.txt").read_text()
    assert "World size: 2" in log
    assert (tmp_path / "model_final.pth").is_file()
    assert "total_loss" in (tmp_path / "metrics.json").read_text()
    assert "Evaluation results for keypoints" in log
