"""A model of a few numbers that Detectron2's trainer can train, for the tests of the step."""

import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from nonlocal_det.training.step import NonFiniteGuard, TrainingStep


class Scale(nn.Module):
    """Multiplies by a learnt number, and by what a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.broken = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor * self.broken


class Root(nn.Module):
    """Its gradient at 0 is infinite, its value is not."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sqrt()


class TinyNet(nn.Module):
    """Two losses that are means over the images of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.stem[0].weight.data.mul_(4)  # large enough to overflow on large inputs
        self.neck = Scale()
        self.drop = nn.Dropout(0.0)
        self.head = nn.Linear(8, 2)
        self.root: nn.Module = nn.Identity()

    def forward(self, batch: list[dict]) -> dict[str, Tensor]:
        images = torch.stack([one["image"] for one in batch])
        features = self.drop(self.neck(self.stem(images))).mean((2, 3))
        scores = self.head(features)
        targets = torch.tensor([one["label"] for one in batch])
        return {
            "loss_cls": nn.functional.cross_entropy(scores, targets),
            "loss_size": self.root(features.square()).mean(),
        }


def images(count: int, seed: int = 0) -> list[dict]:
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "file_name": f"{seed}_{n}.jpg",
            "image": torch.rand(3, 6, 6, generator=generator),
            "label": n % 2,
        }
        for n in range(count)
    ]


def batches(count: int, size: int = 4) -> list[list[dict]]:
    return [images(size, seed) for seed in range(count)]


def tiny_net(seed: int = 3) -> TinyNet:
    torch.manual_seed(seed)
    return TinyNet()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


class Run:
    """A trainer of Detectron2, our step in it, and the storage it writes to."""

    def __init__(
        self, folder, data, model=None, optimizer=None, trainer=None, accumulate=1, skip=0
    ) -> None:
        self.model = tiny_net() if model is None else model
        if trainer is None:
            trainer = SimpleTrainer(self.model, data, optimizer or sgd(self.model))
        self.trainer = trainer
        self.guard = NonFiniteGuard(folder, limit=skip)
        self.step = TrainingStep(self.trainer, self.guard, accumulate)
        self.history: list[dict[str, float]] = []

    def steps(self, count: int) -> "Run":
        for _ in range(count):
            self.trainer.iter = len(self.history)
            with EventStorage(self.trainer.iter) as storage:
                self.step.run()
            self.history.append({name: value for name, (value, _) in storage.latest().items()})
        return self
