"""Which models of the long-range suite are compared in one figure, and whether they may be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nonlocal_det.experiments.run import Json

LABELS = {
    "": "baseline",
    "control_": "control (same cost, no reach)",
    "gcnet_": "global context",
    "nl_": "non-local",
}
"""The roles in a comparison and their labels, by what the configs' names begin with."""


@dataclass(frozen=True)
class Comparison:
    """The models that one non-local config is compared with."""

    name: str  # the non-local config's, without its folder and "nl_"
    configs: dict[str, str]  # by role, a key of `LABELS`: the baseline first, the non-local last

    def runs(self, suite: Json) -> dict[str, list[Json]]:
        """Select the entries of "runs" of a suite, by role."""
        return {
            role: [run for run in suite["runs"] if run["config"] == config]
            for role, config in self.configs.items()
        }


def find_comparisons(suite: Json, only: str = "") -> list[Comparison]:
    """Find each non-local config with what the suite's pairs compare it with, and global context.

    Args:
        suite: of `read_suite`; models without finished runs are left out.
        only: keep the comparisons that have this in their config's name.

    Raises:
        ValueError: there are none.
    """
    measured = {run["config"] for run in suite["runs"]}
    roles: dict[str, dict[str, str]] = {}
    for pair in suite["pairs"]:
        folder, _, name = pair["config"].rpartition("/")
        if name.startswith("nl_") and only in name:
            rest, baseline = name.removeprefix("nl_"), pair["baseline"]
            known = {"nl_": pair["config"], "gcnet_": f"{folder}/gcnet_{rest}"}
            is_control = baseline.rpartition("/")[2].startswith("control_")
            roles.setdefault(rest, known)["control_" if is_control else ""] = baseline
    comparisons = [
        Comparison(rest, {role: names[role] for role in LABELS if names.get(role) in measured})
        for rest, names in roles.items()
    ]
    complete = [c for c in comparisons if "nl_" in c.configs and len(c.configs) > 1]
    if not complete:
        raise ValueError(
            f"no non-local config with {only!r} in its name has finished runs, and a baseline or a "
            f"control that has; there are runs of {', '.join(sorted(measured))}"
        )
    return complete


def read_suite(path: Path) -> Json:
    """Read a suite's ``results.json``; of its runs only those with "by_distance".

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
        pairs, runs = content["pairs"], [r for r in content["runs"] if r.get("by_distance")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a suite's results.json ({error!r}); give that of tools/reproduce.py"
        ) from error
    if not runs:
        raise ValueError(
            f'{path}: none of its {len(content["runs"])} runs has "by_distance"; give the '
            "results.json of the suite long-range, with a run that has finished"
        )
    return {"pairs": pairs, "runs": runs, "overrides": list(map(str, content.get("overrides", ())))}


def same_data(runs: Sequence[Json]) -> Json:
    """Return the first run's distances, once all runs are known to be of the same data and bins.

    Raises:
        ValueError: two runs differ, or the unit is not the receptive field.
    """

    def data(run: Json) -> Json:
        content = run["by_distance"]
        keys = ("level", "of", "unit", "receptive_field", "data_version", "object_size", "chance")
        bins = [(row["low"], row["high"], row["count"]) for row in content["bins"]]
        return {**{key: content[key] for key in keys}, "bins": bins}

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
