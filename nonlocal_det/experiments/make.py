"""From the words of a command line to a plan, refused where it cannot be."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from nonlocal_det.configs import load_config
from nonlocal_det.model_zoo.learning_rates import LEARNING_RATES
from nonlocal_det.synthetic.long_range import split_name

from .plan import Plan
from .rates import CHOOSING_SEED, GRID, chosen_rates, parse_grid
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
RATE = "SOLVER.BASE_LR"


def make_plan(
    suite: str,
    *,
    seeds: str | None = None,
    schedule: str | None = None,
    output: Path | None = None,
    only: str = "",
    choose_lr: bool = False,
    lr_grid: str | None = None,
    lr_file: Path | None = None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Decide every run of a suite; nothing is read but configs and chosen rates, nothing written.

    Args:
        suite: "table5", "table6", "quick" or "long-range".
        seeds: how many ("3", the default, is 1, 2, 3) or which ("1,5,7"; "5," is the one seed 5).
        schedule: "1x" (the default) or "3x"; of the paper's tables alone.
        output: by default ``output/reproduce/SUITE-SCHEDULE``.
        only: which of its models, as in `find_suite`.
        choose_lr: try every model at every rate of the grid, evaluated on the split val under a
            seed of its own, instead of training the suite.
        lr_grid: the rates to try, as "0.01,0.02".
        lr_file: where the chosen rates are read and written; by default the package's.
        overrides: KEY VALUE pairs for every run.

    Raises:
        ValueError: an unknown suite, model, schedule or key, a bad list of seeds or rates, a key
            that the suite sets itself, or a model whose learning rate has not been chosen.
    """
    chosen = find_suite(suite, only)
    schedule = _schedule(chosen, schedule)
    _check_overrides(overrides)
    _check_choice(chosen, choose_lr, seeds, lr_grid, lr_file, overrides)
    standard = {k: v for k, v in SCHEDULES.get(schedule, {}).items() if k not in overrides[::2]}
    common = (*chain(*standard.items()), *overrides, "TEST.EXPECTED_RESULTS", "[]")
    given = parse_seeds(seeds or "3")
    file = lr_file or LEARNING_RATES
    own = _own_options(chosen, choose_lr, given, overrides, file)
    options = {name: (*common, *own.get(name, ())) for name in chosen.configs}
    folder = "-".join(filter(None, (suite, schedule, "learning-rates" * choose_lr)))
    return Plan(
        suite=chosen,
        seeds=(CHOOSING_SEED,) if choose_lr else given,
        schedule=schedule,
        only=only,
        overrides=tuple(overrides),
        output=output or Path("output", "reproduce", folder),
        options=options,
        configs={name: load_config(name, list(words)) for name, words in options.items()},
        grid=(parse_grid(lr_grid) if lr_grid else GRID) if choose_lr else (),
        lr_file=file,
    )


def _own_options(
    suite: Suite, choose_lr: bool, seeds: Sequence[int], overrides: Sequence[str], lr_file: Path
) -> dict[str, tuple[str, ...]]:
    """What only some of the models get: the split val, or each its chosen rate."""
    if choose_lr:
        tests = {n: load_config(n, list(overrides)).DATASETS.TEST for n in suite.configs}
        return {
            name: ("DATASETS.TEST", f"({split_name(test[0], 'val')!r},)")
            for name, test in tests.items()
        }
    if not suite.has_val or RATE in overrides[::2]:
        return {}
    pairs = [(pair.baseline, pair.config) for pair in suite.pairs]
    rates = chosen_rates(pairs, seeds, overrides, lr_file)
    return {name: (RATE, f"{rate:g}") for name, rate in rates.items()}


def _schedule(suite: Suite, schedule: str | None) -> str:
    if schedule and not suite.has_schedules:
        raise ValueError(
            f"--schedule {schedule!r} with --suite {suite.name}, which has a schedule of its own; "
            "leave it out, or override SOLVER.MAX_ITER and SOLVER.STEPS"
        )
    schedule = schedule or ("1x" if suite.has_schedules else "")
    if schedule and schedule not in SCHEDULES:
        raise ValueError(
            f"--schedule {schedule!r}: unknown; expected one of {', '.join(SCHEDULES)}"
        )
    return schedule


def _check_choice(
    suite: Suite,
    choose_lr: bool,
    seeds: str | None,
    lr_grid: str | None,
    lr_file: Path | None,
    overrides: Sequence[str],
) -> None:
    if not suite.has_val and (choose_lr or lr_grid or lr_file):
        raise ValueError(
            f"--choose-lr, --lr-grid or --lr-file with --suite {suite.name}, which has no split to "
            "choose learning rates on; they are for --suite long-range"
        )
    if not choose_lr:
        if lr_grid:
            raise ValueError(f"--lr-grid {lr_grid!r} without --choose-lr; give both, or neither")
        return
    if seeds:
        raise ValueError(
            f"--seeds {seeds!r} with --choose-lr, which uses seed {CHOOSING_SEED} alone, so that "
            "no rate is chosen under a seed of the test; leave it out"
        )
    if RATE in overrides[::2]:
        raise ValueError(f"{RATE} with --choose-lr, which sets it; give the rates as --lr-grid")
    if overrides and not lr_file:
        raise ValueError(
            f"--choose-lr with {' '.join(overrides)}: rates chosen so are not those of the configs "
            "as they are; say with --lr-file FILE where to keep them"
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
