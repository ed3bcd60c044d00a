"""The runs of a suite: every model under every seed, decided before anything starts."""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

from detectron2.config import CfgNode

from nonlocal_det.configs import config_hash, load_config
from nonlocal_det.synthetic.long_range import split_name

from .run import Run
from .suites import SCHEDULES, SUITES, Suite, find_suite

RATE = "SOLVER.BASE_LR"
GRID = "0.01,0.02,0.04"
FINAL = "model_final.pth"
_START = re.compile(rf"output/([^/]+)/{re.escape(FINAL)}")  # a config's WEIGHTS, of another config
CHOOSING_SEED = 1000  # no learning rate is chosen under a seed of the test
_PAIR = "a model and its baseline differ by it"
RESERVED = {
    "SEED": "use --seeds",
    "OUTPUT_DIR": "use --output",
    "TEST.EXPECTED_RESULTS": "a suite measures, it does not judge",
    "MODEL.META_ARCHITECTURE": _PAIR,
    "MODEL.BACKBONE.NAME": _PAIR,
    "MODEL.ROI_KEYPOINT_HEAD.NAME": _PAIR,
}


@dataclass(frozen=True)
class Plan:
    """What one call of ``tools/reproduce.py`` is about; see `make_plan`.

    Attributes:
        options: KEY VALUE pairs of every model: the schedule's, the user's, its own.
        configs: the full config of every model, without a seed.
        starts: the model from whose final weights a model starts, under the same seed.
        grid: the learning rates that every model is tried at; (): each is trained at its config's.
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
    starts: dict[str, str] = field(default_factory=dict)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of all data sets."""
        names = (n for c in self.configs.values() for n in (*c.DATASETS.TRAIN, *c.DATASETS.TEST))
        return tuple(sorted(set(names)))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Seed by seed, a model next to its baseline: each pair is complete early."""
        return tuple(
            self._run(name, seed, rate)
            for seed in self.seeds
            for name in self.configs
            for rate in self.grid or (None,)
        )

    def _run(self, name: str, seed: int, rate: float | None) -> Run:
        cfg, options = self.configs[name], self.options[name]
        folder = self.output / name.split("/")[-1]
        if rate is not None:
            cfg = cfg.clone()
            cfg.SOLVER.BASE_LR = rate
            options = (*options, RATE, f"{rate:g}")
            folder /= f"lr{rate:g}"
        folder /= f"seed{seed}"
        start = self._run(self.starts[name], seed, None) if name in self.starts else None
        if start is not None:
            weights = str(start.folder / FINAL)
            options, cfg = (*options, "MODEL.WEIGHTS", weights), cfg.clone()
            cfg.MODEL.WEIGHTS = weights
        return Run(name, seed, folder, options, cfg.SOLVER.MAX_ITER, config_hash(cfg), rate, start)

    @property
    def command(self) -> str:
        """The command line that makes this plan again."""
        words = ["python", "tools/reproduce.py", "--suite", self.suite.name]
        if self.grid:
            words += ["--choose-lr", "--lr-grid", ",".join(f"{rate:g}" for rate in self.grid)]
        else:
            words += ["--seeds", ",".join(map(str, self.seeds)) + "," * (len(self.seeds) == 1)]
        words += ["--schedule", self.schedule] * bool(self.schedule)
        words += ["--only", self.only] * bool(self.only)
        return shlex.join([*words, "--output", str(self.output), *self.overrides])


def make_plan(
    suite: str,
    *,
    seeds: str | None = None,
    schedule: str | None = None,
    output: Path | None = None,
    only: str = "",
    choose_lr: bool = False,
    lr_grid: str | None = None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Decide every run of a suite; only configs are read, nothing is written.

    Args:
        suite: one of `nonlocal_det.experiments.suites.SUITES`.
        seeds: how many ("3", the default, is 1, 2, 3) or which ("1,5,7"; "5," is the one seed 5).
        schedule: "1x" (the default) or "3x"; only of the paper's tables.
        output: by default ``output/reproduce/SUITE-SCHEDULE``.
        only: which of its models, as in `find_suite`.
        choose_lr: try every model at every rate of the grid instead, evaluated on the split val
            under `CHOOSING_SEED`.
        lr_grid: the rates to try, as "0.01,0.02".
        overrides: KEY VALUE pairs for every run.

    Raises:
        ValueError: an unknown suite, model, schedule or key, a list of seeds or rates that is
            none, a key in `RESERVED`, or options that exclude each other.
    """
    selected = find_suite(suite, only)
    _check_overrides(overrides)
    _check_options(selected, schedule, choose_lr, seeds, lr_grid, overrides)
    schedule = schedule or ("1x" if selected.kind.schedules else "")
    standard = {k: v for k, v in SCHEDULES.get(schedule, {}).items() if k not in overrides[::2]}
    common = (*chain(*standard.items()), *overrides, "TEST.EXPECTED_RESULTS", "[]")
    starts = {} if "MODEL.WEIGHTS" in overrides else find_starts(selected.configs)
    options = dict.fromkeys((*reversed(starts.values()), *selected.configs), common)
    if choose_lr:
        for name in options:
            test = load_config(name, list(overrides)).DATASETS.TEST[0]
            options[name] = (*common, "DATASETS.TEST", f"({split_name(test, 'val')!r},)")
    folder = "-".join(filter(None, (suite, schedule, "learning-rates" * choose_lr)))
    return Plan(
        suite=selected,
        seeds=(CHOOSING_SEED,) if choose_lr else parse_seeds(seeds or "3"),
        schedule=schedule,
        only=only,
        overrides=tuple(overrides),
        output=output or Path("output", "reproduce", folder),
        options=options,
        configs={name: load_config(name, list(words)) for name, words in options.items()},
        grid=parse_grid(lr_grid or GRID) if choose_lr else (),
        starts=starts,
    )


def find_starts(configs: Sequence[str]) -> dict[str, str]:
    """Find the configs whose ``MODEL.WEIGHTS`` are what another config's training leaves.

    That is ``output/NAME/model_final.pth``, NAME being a config in the same folder.

    Returns:
        For each such config the one to train before it, and so on for that one.
    """
    starts: dict[str, str] = {}
    waiting = list(configs)
    while waiting:
        config = waiting.pop(0)
        match = _START.fullmatch(load_config(config).MODEL.WEIGHTS)
        if match and config not in starts:
            starts[config] = "/".join([*config.split("/")[:-1], match[1]])
            waiting.append(starts[config])
    return starts


def _check_overrides(overrides: Sequence[str]) -> None:
    for word in overrides:
        if word.startswith("--"):
            raise ValueError(f"{word} comes after KEY VALUE pairs; options come before them")
    if len(overrides) % 2:
        raise ValueError(f"KEY VALUE pairs expected, but {overrides[-1]!r} has no partner")
    for key in overrides[::2]:
        if key in RESERVED:
            raise ValueError(f"{key} cannot be overridden in a suite: {RESERVED[key]}")


def _check_options(
    suite: Suite,
    schedule: str | None,
    choose_lr: bool,
    seeds: str | None,
    grid: str | None,
    overrides: Sequence[str],
) -> None:
    """Refuse options that exclude each other, or that the suite does not have."""
    tested = () if choose_lr else parse_seeds(seeds or "3")
    for is_wrong, message in (
        (
            schedule and not suite.kind.schedules,
            f"--schedule {schedule!r} with --suite {suite.name}, which has a schedule of its own; "
            "leave it out, or override SOLVER.MAX_ITER and SOLVER.STEPS",
        ),
        (
            schedule and schedule not in SCHEDULES,
            f"--schedule {schedule!r}: unknown; expected one of {', '.join(SCHEDULES)}",
        ),
        (
            grid and not choose_lr,
            f"--lr-grid {grid!r} without --choose-lr; give both, or neither",
        ),
        (
            suite.kind.val and CHOOSING_SEED in tested,
            f"--seeds {seeds!r}: the learning rates were chosen under seed {CHOOSING_SEED}; test "
            "under others",
        ),
        (
            choose_lr and not suite.kind.val,
            f"--choose-lr with --suite {suite.name}, which has no split to choose learning rates "
            f"on; it is for --suite {' or '.join(n for n, kind in SUITES.items() if kind.val)}",
        ),
        (
            choose_lr and seeds,
            f"--seeds {seeds!r} with --choose-lr, which uses only seed {CHOOSING_SEED}; leave it "
            "out",
        ),
        (
            choose_lr and RATE in overrides[::2],
            f"{RATE} with --choose-lr, which sets it; give the rates as --lr-grid",
        ),
    ):
        if is_wrong:
            raise ValueError(message)


def parse_grid(text: str) -> tuple[float, ...]:
    """Read the rates of ``--lr-grid``, ascending.

    Raises:
        ValueError: not different numbers above 0.

    Example:
        >>> parse_grid("0.02,0.01")
        (0.01, 0.02)
    """
    try:
        rates = [float(word) for word in text.split(",")]
    except ValueError:
        rates = []
    if not rates or len(set(rates)) < len(rates) or not all(0 < r < math.inf for r in rates):
        raise ValueError(f"--lr-grid {text!r}; expected different rates above 0, as 0.01,0.02")
    return tuple(sorted(rates))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read the seeds of ``--seeds``.

    Raises:
        ValueError: not a count above 0, nor a list of different numbers from 0 to 2^31 - 1.

    Example:
        >>> parse_seeds("3"), parse_seeds("1,5,7"), parse_seeds("5,")
        ((1, 2, 3), (1, 5, 7), (5,))
    """
    words = [word.strip() for word in text.removesuffix(",").split(",")]
    seeds = tuple(int(word) for word in words if word.isascii() and word.isdigit())
    if len(seeds) == 1 and "," not in text:
        seeds = tuple(range(1, seeds[0] + 1))
    if not seeds or len(set(seeds)) < len(words) or max(seeds) >= 2**31:
        raise ValueError(
            f"--seeds {text!r}; expected a count from 1 as 3, or different numbers below 2^31 as "
            "1,5,7"
        )
    return seeds
