"""Every model's own learning rate, as it was chosen: which are known, and which cannot be used."""

from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.model_zoo.learning_rates import Entry, load_learning_rates
from nonlocal_det.model_zoo.rows import config_sha256

GRID = (0.01, 0.02, 0.04)
CHOOSING_SEED = 1000  # none of a test's


def parse_grid(text: str) -> tuple[float, ...]:
    """The rates that ``--lr-grid`` means, ascending.

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
    if not rates or len(set(rates)) < len(rates) or not all(0 < rate < 10 for rate in rates):
        raise ValueError(f"--lr-grid {text!r}; expected different rates above 0, as 0.01,0.02")
    return tuple(sorted(rates))


def chosen_rates(
    pairs: Sequence[tuple[str, str]], seeds: Sequence[int], overrides: Sequence[str], path: Path
) -> dict[str, float]:
    """The chosen learning rate of every model.

    Args:
        pairs: names of configs that are compared with each other.
        seeds: of the test.
        overrides: KEY VALUE pairs of every run.
        path: of the learning rates.

    Raises:
        ValueError: a model without a choice, one that was made for another config or with other
            options or is under a seed of the test, or two models of a pair with other grids.
    """
    entries = load_learning_rates(path)
    wrong = {}
    for config in dict.fromkeys(name for pair in pairs for name in pair):
        if problem := _problem(config, entries.get(config), seeds, overrides):
            wrong[config] = problem
    for pair in pairs:
        if not wrong.keys() & set(pair) and len({_grid(entries[name]) for name in pair}) > 1:
            wrong[pair[1]] = f"tried at other rates or on other data than {pair[0]}"
    if wrong:
        said = "; ".join(
            f"{', '.join(name for name in wrong if wrong[name] == problem)}: {problem}"
            for problem in dict.fromkeys(wrong.values())
        )
        raise ValueError(
            f"{path.name}: {said}. Choose them with --choose-lr and otherwise the same arguments, "
            "or give all models one rate with SOLVER.BASE_LR RATE, which the report will say"
        )
    return {
        name: float(entries[name]["chosen"]) for name in dict.fromkeys(n for p in pairs for n in p)
    }


def _problem(
    config: str, entry: Entry | None, seeds: Sequence[int], overrides: Sequence[str]
) -> str:
    if entry is None:
        return "no learning rate has been chosen"
    if entry["config_sha256"] != config_sha256(config):
        return "changed since the learning rate was chosen"
    if entry["overrides"] != list(overrides):
        return f"its rate was chosen with the options {entry['overrides']}, not {list(overrides)}"
    if entry["seed"] in seeds:
        return f"its rate was chosen under seed {entry['seed']}, which is one of --seeds"
    return ""


def _grid(entry: Entry) -> str:
    return f"{sorted(entry['tried'])} {entry['data']} {entry['seed']}"
