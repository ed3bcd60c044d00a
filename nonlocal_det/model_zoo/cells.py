"""The cells of model_zoo.md, and the words that say where a row's numbers come from."""

from collections.abc import Sequence
from typing import Any

from .rows import Row


def line(cells: Sequence[str]) -> str:
    """A line of a markdown table."""
    return "| " + " | ".join(cells) + " |"


def values_of(row: Row, source: str, metric: str) -> list[float]:
    """AP, AP50 and AP75 of a task; empty where there are none."""
    values: list[float] = (row[source] or {}).get(metric, [])
    return values


def triple(row: Row, source: str, metric: str) -> str:
    """The same as one cell, with the standard deviations."""
    values = [f"{value:.1f}" for value in values_of(row, source, metric)]
    spread = (row[source] or {}).get("std", {}).get(metric)
    if spread:
        values = [f"{value} ± {std:.1f}" for value, std in zip(values, spread, strict=True)]
    return " / ".join(values) or "-"


def difference(paired: dict[str, Any]) -> str:
    """A paired difference with its 95 % interval."""
    interval = "".join(f", {end:+.1f}" for end in paired["ci95"] or ())[2:]
    return f"{paired['mean']:+.1f}" + (f" [{interval}]" if interval else "")


def provenance(row: Row) -> str:
    """Where a row's measured numbers come from, and whether its config is still the same."""
    m = row["measured"]
    seeds = ", ".join(map(str, m["seeds"]))
    said = [f"`{m['command']}`", f"seed{'s' * (len(m['seeds']) > 1)} {seeds}"]
    for key, text in (
        ("schedule", "schedule {}"),
        ("minutes", "{} minutes of training"),
        ("s_per_iter", "{:.3g} s/iter"),
        ("s_per_image", "{:.3g} s/image"),
        ("memory_mib", "{} MiB"),
        ("commit", "commit {}"),
        ("versions", "{}"),
        ("hardware", "{}"),
        ("log", "[log]({})"),
    ):
        if m.get(key) is not None:
            said.append(text.format(m[key]))
    if m.get("config_sha256", row.get("config_sha256")) != row.get("config_sha256"):
        said.append("**its config has changed since**")
    return f"\n`{row['config']}` here: " + ", ".join(said)
