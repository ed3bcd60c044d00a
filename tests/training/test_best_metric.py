"""The checkpoint with the best metric stays, over restarts too."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.training.best_metric import KeepBest


class Training:
    """Evaluations of a training, by hand."""

    def __init__(self, folder, metric="bbox/AP", start_iter=0, period=10) -> None:
        self.folder, self.latest = folder, {}
        self.model = nn.Linear(1, 1)
        self.hook = KeepBest(SafeCheckpointer(self.model, str(folder)), metric, period)
        self.hook.trainer = SimpleNamespace(
            start_iter=start_iter,
            iter=start_iter,
            max_iter=100,
            storage=SimpleNamespace(latest=lambda: self.latest),
        )
        self.hook.before_train()

    def evaluate(self, done: int, value: float, name: str = "bbox/AP") -> float:
        """The value in model_best.pth after an evaluation when ``done`` iterations are done."""
        self.hook.trainer.iter = done - 1
        self.latest = {name: (value, done - 1)}
        nn.init.constant_(self.model.weight, value)
        self.hook.after_step()
        return self.best()

    def best(self) -> float:
        path = self.folder / "model_best.pth"
        if not path.exists():
            return -1
        saved = torch.load(path, weights_only=True)
        assert saved["best"]["value"] == saved["model"]["weight"].item()
        return saved["best"]["value"]


def test_the_best_stays(tmp_path):
    training = Training(tmp_path)
    assert [training.evaluate(10 * n, v) for n, v in enumerate([3, 2, 5, 4], 1)] == [3, 3, 5, 5]
    assert training.evaluate(45, 9) == 5  # no evaluation then
    assert not (tmp_path / "last_checkpoint").exists()


def test_less_can_be_better(tmp_path):
    training = Training(tmp_path, "loss:min")
    values = [training.evaluate(10 * n, v, "loss") for n, v in enumerate([3, 2, 5], 1)]
    assert values == [3, 2, 2]


def test_a_resumed_training_compares_with_what_was(tmp_path):
    Training(tmp_path).evaluate(10, 7)
    assert Training(tmp_path, start_iter=10).evaluate(20, 6) == 7
    assert Training(tmp_path, start_iter=10).evaluate(20, 8) == 8
    assert Training(tmp_path, "segm/AP", start_iter=10).evaluate(20, 1, "segm/AP") == 1
    assert Training(tmp_path).evaluate(10, 2) == 2  # another training begins in the folder


def test_a_damaged_best_is_replaced(tmp_path, messages):
    training = Training(tmp_path)
    training.evaluate(10, 7)
    (tmp_path / "model_best.pth").write_bytes(b"")
    assert Training(tmp_path, start_iter=10).evaluate(20, 6) == 6
    assert "replaces it" in " ".join(messages())


def test_the_evaluation_after_the_training_counts(tmp_path):
    training = Training(tmp_path)
    assert training.evaluate(100, 3) == -1  # Detectron2 evaluates after the training
    training.hook.after_train()
    assert training.best() == 3


def test_a_failed_training_has_no_last_evaluation(tmp_path):
    training = Training(tmp_path)
    training.latest = {"bbox/AP": (3.0, 10)}
    training.hook.trainer.iter = 50
    training.hook.after_train()
    assert training.best() == -1


def test_metrics_that_are_not_there_are_said(tmp_path, messages):
    training = Training(tmp_path, "bbox/APP")
    assert training.evaluate(10, 3) == -1
    assert "--keep-best bbox/APP: there is no such metric" in " ".join(messages())
    assert "near it are bbox/AP" in " ".join(messages())
    training = Training(tmp_path)
    assert training.evaluate(20, float("nan")) == -1
    assert "bbox/AP is nan at iteration 19" in " ".join(messages())


@pytest.mark.parametrize("metric", ["bbox/AP:best", ":min"])
def test_a_metric_of_another_form_is_refused(metric, tmp_path):
    with pytest.raises(ValueError, match=f"--keep-best {metric}: expected METRIC"):
        Training(tmp_path, metric)
