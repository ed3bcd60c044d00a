"""Accuracy against distance as markdown."""

from collections.abc import Sequence

from .cells import difference, spread, table
from .record import Json

DISTANCE = """Percent right of what was detected, by its distance to the evidence in receptive
fields of the backbone; in brackets, how many things are in each range. Then paired differences, in
percent points."""


def distance_tables(models: Sequence[Json], pairs: Sequence[Json]) -> list[str]:
    """The section as lines; none where no data has distances."""
    if not any(model["by_distance"] for model in models):
        return []
    title = ["## Accuracy against distance", "", DISTANCE, ""]
    return [*title, _distance(models), "", _distance_pairs(pairs), ""]


def _distance(models: Sequence[Json]) -> str:
    known = [model for model in models if model["by_distance"]]
    labels = dict.fromkeys(b["range"] for m in known for b in m["by_distance"]["bins"])
    rows = []
    for model in known:
        content = model["by_distance"]
        bins = {one["range"]: one for one in content["bins"]}
        cells = [
            f"{spread(bins[label]['accuracy'])} ({bins[label]['count']})" if label in bins else "-"
            for label in labels
        ]
        rows.append([f"`{model['config']}`", content["of"], f"{content['chance']:g}", *cells])
    return table(["model", "of", "chance", *labels], rows, left=2)


def _distance_pairs(pairs: Sequence[Json]) -> str:
    head = ["model", "against", "range", "difference, paired", "95 % interval", "seed by seed"]
    rows = [
        [
            f"`{row['config']}`",
            f"`{row['baseline']}`",
            row["range"],
            *difference(row),
        ]
        for row in pairs
    ]
    return table(head, rows, left=3)
