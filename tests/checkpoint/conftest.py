"""A small training's folder: two checkpoints, the second one the last."""

import logging

import pytest
import torch
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer


class Counter:
    """More state of a training."""

    def __init__(self) -> None:
        self.steps = 0

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


class Run:
    """A model and its checkpointer; `save(n)` makes every weight n, and saves."""

    def __init__(self, folder, **options) -> None:
        self.folder, self.counter = folder, Counter()
        self.model = nn.Linear(3, 2)
        self.checkpointer = SafeCheckpointer(
            self.model, str(folder), checkpointables={"counter": self.counter}, **options
        )

    def save(self, number: int, name: str = "") -> None:
        with torch.no_grad():
            self.model.weight.fill_(number)
        self.counter.steps = number
        self.checkpointer.save(name or f"model_{number:07d}", iteration=number)

    def resume(self) -> int:
        """What the last checkpoint has, in a new process as it were."""
        again = Run(self.folder)
        rest = again.checkpointer.resume_or_load("", resume=True)
        assert again.counter.steps == rest["iteration"] == again.model.weight[0, 0]
        return again.counter.steps

    def last(self) -> str:
        return (self.folder / "last_checkpoint").read_text()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def run(tmp_path) -> Run:
    made = Run(tmp_path / "out", made_by={"commit": "abc", "versions": {"torch": "2"}})
    made.save(1)
    made.save(2)
    return made


@pytest.fixture
def make_run(tmp_path):
    return lambda **options: Run(tmp_path / "out", **options)


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    """What the project logs reaches caplog, also after a training in this process."""
    monkeypatch.setattr(logging.getLogger("nonlocal_det"), "propagate", True)
