"""A restart by torchrun continues its own training, never one that was in the folder before."""

import pytest
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.training.exact_resume import was_restarted


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
