"""The runs of a suite: every model under every seed, and how far each has come."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from detectron2.config import CfgNode

from nonlocal_det.engine.provenance import config_hash
from nonlocal_det.engine.setup import merge_config

from .record import Run
from .suites import SCHEDULES, Suite, find_suite

# The suite sets these itself, or they are what twins differ by.
RESERVED = {
    "SEED": "use --seeds",
    "OUTPUT_DIR": "use --output",
    "TEST.EXPECTED_RESULTS": "a suite measures, it does not judge",
    "MODEL.META_ARCHITECTURE": "twins differ by it",
    "MODEL.BACKBONE.NAME": "twins differ by it",
    "MODEL.ROI_KEYPOINT_HEAD.NAME": "twins differ by it",
}


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
        options: KEY VALUE pairs of every run, the schedule's and the user's.
        configs: the full config of every model, without a seed.
    """

    suite: Suite
    seeds: tuple[int, ...]
    schedule: str
    only: str
    overrides: tuple[str, ...]
    output: Path
    options: tuple[str, ...]
    configs: dict[str, CfgNode]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of all data sets."""
        names = (n for c in self.configs.values() for n in (*c.DATASETS.TRAIN, *c.DATASETS.TEST))
        return tuple(sorted(set(names)))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Seed by seed, twins next to each other: each pair is complete as early as can be."""
        return tuple(
            Run(
                config=name,
                seed=seed,
                folder=self.output / name.split("/")[-1] / f"seed{seed}",
                options=self.options,
                iterations=cfg.SOLVER.MAX_ITER,
                config_hash=config_hash(cfg),
            )
            for seed in self.seeds
            for name, cfg in self.configs.items()
        )

    @property
    def command(self) -> str:
        """The command line that makes this plan again."""
        words = ["python", "tools/reproduce.py", "--suite", self.suite.name]
        words += ["--seeds", ",".join(map(str, self.seeds)) + "," * (len(self.seeds) == 1)]
        words += ["--schedule", self.schedule] * bool(self.schedule)
        words += ["--only", self.only] * bool(self.only)
        return shlex.join([*words, "--output", str(self.output), *self.overrides])


def make_plan(
    suite: str,
    *,
    seeds: str = "3",
    schedule: str | None = None,
    output: Path | None = None,
    only: str = "",
    overrides: Sequence[str] = (),
) -> Plan:
    """Decide every run of a suite; nothing is read but configs, nothing is written.

    Args:
        suite: "table5", "table6" or "quick".
        seeds: how many ("3" is 1, 2, 3) or which ("1,5,7"; "5," is the one seed 5).
        schedule: "1x" (the default) or "3x"; "quick" has its own.
        output: by default ``output/reproduce/SUITE-SCHEDULE``.
        only: keep the pairs whose non-local config has this in its name.
        overrides: KEY VALUE pairs for every run.

    Raises:
        ValueError: an unknown suite, pair, schedule or key, a bad seed list, or a key that the
            suite sets itself.
    """
    chosen = find_suite(suite, only)
    if suite == "quick" and schedule:
        raise ValueError(
            f"--schedule {schedule!r} with --suite quick, which has a schedule of its own; leave "
            "it out, or override SOLVER.MAX_ITER and SOLVER.STEPS"
        )
    schedule = schedule or ("" if suite == "quick" else "1x")
    if schedule and schedule not in SCHEDULES:
        raise ValueError(
            f"--schedule {schedule!r}: unknown; expected one of {', '.join(SCHEDULES)}"
        )
    _check_overrides(overrides)
    folder = output or Path("output", "reproduce", "-".join(filter(None, (suite, schedule))))
    standard = {k: v for k, v in SCHEDULES.get(schedule, {}).items() if k not in overrides[::2]}
    options = (*chain(*standard.items()), *overrides, "TEST.EXPECTED_RESULTS", "[]")
    return Plan(
        suite=chosen,
        seeds=parse_seeds(seeds),
        schedule=schedule,
        only=only,
        overrides=tuple(overrides),
        output=folder,
        options=options,
        configs={name: merge_config(name, list(options)) for name in chosen.configs},
    )


def _check_overrides(overrides: Sequence[str]) -> None:
    for word in overrides:
        if word.startswith("--"):
            raise ValueError(f"{word} comes after KEY VALUE pairs; options come before them")
    if len(overrides) % 2:
        raise ValueError(f"KEY VALUE pairs expected, but {overrides[-1]!r} is alone")
    for key in overrides[::2]:
        if key in RESERVED:
            raise ValueError(f"{key} cannot be overridden in a suite: {RESERVED[key]}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that ``--seeds`` means.

    Raises:
        ValueError: not a count above 0, nor a list of different numbers from 0 to 2^31 - 1.

    Example:
        >>> parse_seeds("3"), parse_seeds("1,5,7"), parse_seeds("5,")
        ((1, 2, 3), (1, 5, 7), (5,))
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and not words[-1]:
        words.pop()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f"--seeds {text!r}; expected a count as 3, or different numbers as 1,5,7")
    seeds = tuple(int(word) for word in words)
    if "," not in text:
        seeds = tuple(range(1, seeds[0] + 1))
    if not seeds or len(set(seeds)) < len(seeds) or max(seeds) >= 2**31:
        raise ValueError(
            f"--seeds {text!r}; expected a count from 1, or different numbers below 2^31 as 1,5,7"
        )
    return seeds
