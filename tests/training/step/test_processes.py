"""Two processes decide alike about a step, and none waits for the other for ever."""

import json

import pytest
import step_processes
import torch
from tiny_step import Run, batches

from nonlocal_det.training import launch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each process has written."""
    folder = tmp_path_factory.mktemp("processes")
    launch(step_processes.main, 2, device="cpu", args=(str(folder),))
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_parts_of_two_processes_give_the_step_of_the_whole_batch(seen, tmp_path):
    one, other = (each["parts"] for each in seen[1])
    assert one["weights"] == other["weights"]
    whole = Run(tmp_path, batches(3)).steps(3)
    state = whole.model.state_dict()
    expected = torch.cat([value.flatten().double() for value in state.values()]).tolist()
    assert one["weights"] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert one["losses"] == pytest.approx([h["total_loss"] for h in whole.history], rel=1e-5)
    assert one["reductions"] == 3  # once a step, not once a part


def test_a_loss_of_one_process_makes_both_leave_the_step_out_or_stop(seen):
    folder, each = seen
    one, other = (of["one_loss_is_nan"] for of in each)
    assert one["weights"] == other["weights"]
    first, second, third = one["weights"]
    assert first == second != third
    assert one["said"] == other["said"]
    assert "iteration 3: loss_cls is nan" in one["said"]
    assert "in process 1; first in stem.0 (Conv2d)" in one["said"]
    assert "alone it happens with 3_2.jpg;" in one["said"]
    assert one["skipped"] == other["skipped"] == 2
    kept = sorted(path.name for path in (folder / "one_loss_is_nan" / "nonfinite").iterdir())
    assert kept == [
        "batch_0000001_process1.pth",
        "batch_0000003_process1.pth",
        "weights_0000001.pth",
        "weights_0000003.pth",
    ]


def test_a_model_that_refuses_in_one_process_stops_both(seen):
    one, other = (each["one_model_refuses"] for each in seen[1])
    assert one["said"] == other["said"]
    assert "iteration 1: Predicted boxes or scores contain Inf/NaN in process 0" in one["said"]
    assert one["weights"] == other["weights"]


def test_a_gradient_of_one_process_stops_both(seen):
    one, other = (each["one_gradient_is_infinite"] for each in seen[1])
    assert one["said"] == other["said"]
    assert "first in the backward pass of root (Root)" in one["said"]
    assert "0_2.jpg" in one["said"]
    assert one["finite"]
    assert other["finite"]
