"""Which runs of the long-range suite are compared in one figure, and whether they may be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
LABELS = {
    "": "baseline",
    "control_": "control (same cost, no reach)",
    "gcnet_": "global context",
    "nl_": "non-local",
}
"""What the arms of a comparison are called, by what their configs' names begin with."""


@dataclass(frozen=True)
class Comparison:
    """The arms that one non-local config is compared with.

    Attributes:
        name: of the comparison: the non-local config's, without its folder and "nl_".
        arms: the key in `LABELS` -> name of a config, the baseline first, the non-local one last.
    """

    name: str
    arms: dict[str, str]

    def runs(self, suite: Json) -> dict[str, list[Json]]:
        """By arm, the entries of "runs" of a suite; see `read_suite`."""
        return {
            arm: [run for run in suite["runs"] if run["config"] == config]
            for arm, config in self.arms.items()
        }


def find_comparisons(suite: Json, only: str = "") -> list[Comparison]:
    """Each non-local config with what the suite's pairs compare it with, and global context.

    Args:
        suite: of `read_suite`; arms without finished runs are left out.
        only: keep the comparisons that have this in their name.

    Raises:
        ValueError: there are none.
    """
    measured = {run["config"] for run in suite["runs"]}
    found: dict[str, dict[str, str]] = {}
    for pair in suite["pairs"]:
        leaf = _leaf(pair["config"])
        rest = leaf.removeprefix("nl_")
        if rest == leaf or only not in leaf:
            continue
        context = pair["config"].replace("nl_" + rest, "gcnet_" + rest)
        arms = found.setdefault(rest, {"nl_": pair["config"], "gcnet_": context})
        arms[_arm_of(pair["baseline"])] = pair["baseline"]
    comparisons = [
        Comparison(name, {arm: arms[arm] for arm in LABELS if arms.get(arm) in measured})
        for name, arms in found.items()
    ]
    complete = [one for one in comparisons if "nl_" in one.arms and len(one.arms) > 1]
    if not complete:
        raise ValueError(
            f"no non-local config with {only!r} in its name has finished runs, and a baseline or a "
            f"control that has; there are runs of {', '.join(sorted(measured))}"
        )
    return complete


def _leaf(config: str) -> str:
    return config.rsplit("/", 1)[-1]


def _arm_of(config: str) -> str:
    """The key in `LABELS`."""
    return next((arm for arm in LABELS if arm and _leaf(config).startswith(arm)), "")


def read_suite(path: Path) -> Json:
    """The content of a suite's ``results.json``; of its runs those with "by_distance".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or no run has been measured by distance.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; give the results.json of tools/reproduce.py --suite long-range"
        )
    try:
        content: Json = json.loads(path.read_text())
        pairs = list(content["pairs"])
        runs = [run for run in content["runs"] if run.get("by_distance")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a suite's results.json ({error!r}); give that of tools/reproduce.py"
        ) from error
    if not runs:
        raise ValueError(
            f'{path}: none of its {len(content["runs"])} runs has "by_distance"; give the '
            "results.json of the suite long-range, with a run that has finished"
        )
    return {**content, "pairs": pairs, "runs": runs}


def overrides_of(suite: Json) -> list[str]:
    """The KEY VALUE pairs that all runs of a suite were given beyond their configs."""
    return [str(word) for word in suite.get("overrides", ())]


def same_data(runs: Sequence[Json]) -> Json:
    """The first run's distances, once all runs are known to be of the same objects and bins.

    Args:
        runs: entries of "runs" with "by_distance", at least one.

    Raises:
        ValueError: two runs differ, or the unit is not the receptive field.
    """

    def data(run: Json) -> Json:
        said = run["by_distance"]
        keys = ("level", "of", "unit", "receptive_field", "data_version", "object_size", "chance")
        bins = [(row["low"], row["high"], row["count"]) for row in said["bins"]]
        return {**{key: said[key] for key in keys}, "bins": bins}

    for run in runs:
        if data(run) != data(runs[0]):
            raise ValueError(
                f"{run['config']} seed {run['seed']} was measured on other data or in other bins "
                f"than {runs[0]['config']} seed {runs[0]['seed']}: {data(run)} and "
                f"{data(runs[0])}; train and evaluate them on the same data"
            )
    first: Json = runs[0]["by_distance"]
    if first["unit"] != "receptive_fields":
        raise ValueError(f"by_distance in {first['unit']}; expected receptive_fields")
    return first
