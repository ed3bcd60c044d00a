"""The runs of a suite: every model under every seed, with its options."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from detectron2.config import CfgNode

from nonlocal_det.configs import config_hash
from nonlocal_det.model_zoo.learning_rates import LEARNING_RATES

from .record import Run
from .suites import Suite


@dataclass(frozen=True)
class Plan:
    """What one call of ``tools/reproduce.py`` is about.

    Attributes:
        suite: the models.
        seeds: every model is trained under each.
        schedule: "1x" or "3x"; "" for the configs' own.
        only: the filter that the suite was made with.
        overrides: KEY VALUE pairs of the user, for every run.
        output: the folder of the runs and the report.
        options: KEY VALUE pairs of every model: the schedule's, the user's, its own.
        configs: the full config of every model, without a seed.
        grid: the learning rates that every model is tried at; () where each has its own already.
        lr_file: where the chosen rates are, or are to be written.
    """

    suite: Suite
    seeds: tuple[int, ...]
    schedule: str
    only: str
    overrides: tuple[str, ...]
    output: Path
    options: dict[str, tuple[str, ...]]
    configs: dict[str, CfgNode]
    grid: tuple[float, ...] = ()
    lr_file: Path = LEARNING_RATES

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of all data sets."""
        names = (n for c in self.configs.values() for n in (*c.DATASETS.TRAIN, *c.DATASETS.TEST))
        return tuple(sorted(set(names)))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Seed by seed, twins next to each other: each pair is complete as early as can be."""
        rates: tuple[float | None, ...] = self.grid or (None,)
        return tuple(
            self._run(name, seed, rate)
            for seed in self.seeds
            for name in self.configs
            for rate in rates
        )

    def _run(self, name: str, seed: int, rate: float | None) -> Run:
        cfg, options = self.configs[name].clone(), self.options[name]
        folder = self.output / name.split("/")[-1]
        if rate is not None:
            cfg.defrost()
            cfg.SOLVER.BASE_LR = rate
            options = (*options, "SOLVER.BASE_LR", f"{rate:g}")
            folder /= f"lr{rate:g}"
        return Run(
            config=name,
            seed=seed,
            folder=folder / f"seed{seed}",
            options=options,
            iterations=cfg.SOLVER.MAX_ITER,
            config_hash=config_hash(cfg),
            rate=rate,
        )

    def lr_metric(self, config: str) -> str:
        """What decides between learning rates."""
        return "keypoint AP" if self.configs[config].MODEL.KEYPOINT_ON else "box AP"

    @property
    def command(self) -> str:
        """The command line that makes this plan again."""
        words = ["python", "tools/reproduce.py", "--suite", self.suite.name]
        if self.grid:
            words += ["--choose-lr", "--lr-grid", ",".join(f"{rate:g}" for rate in self.grid)]
        else:
            words += ["--seeds", ",".join(map(str, self.seeds)) + "," * (len(self.seeds) == 1)]
        words += ["--lr-file", str(self.lr_file)] * (self.lr_file != LEARNING_RATES)
        words += ["--schedule", self.schedule] * bool(self.schedule)
        words += ["--only", self.only] * bool(self.only)
        return shlex.join([*words, "--output", str(self.output), *self.overrides])
