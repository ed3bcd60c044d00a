"""The long-range part of model_zoo.md: a table for each baseline, its controls and its models."""

from collections.abc import Sequence
from typing import Any

from .cells import difference, line
from .long_range_text import CONCLUSIONS, INTRO
from .rows import Row

TITLES = {
    "beacon_R18": "beacon: one far cue decides (questions beacon, functions, stages)",
    "beacon_wide_R18": "beacon in wider images, for a backbone with res5 (question stages)",
    "beacon_deep_R50": "beacon with a narrow ResNet-50: 1, 5 and 10 blocks (question blocks)",
    "pairs_R18": "pairs: an object's twin decides (question pairs)",
    "local_R18": "local: the answer is near (question local)",
    "pose_R18": "pose: a figure's far end tells left from right, RoI 14x14 (question pose)",
    "pose_short_R18": "pose out of reach: RoI 28x28, a backbone to res2 (question pose-short)",
}
"""By the baseline's name, without its folder."""

HEAD = ("config", "what", "rate", "AP", "Δ to baseline", "Δ to control", "right", "Δ far", "s/iter")


def long_range_section(rows: Sequence[Row]) -> list[str]:
    """The section as parts; none where there are no such rows."""
    parts = [INTRO, CONCLUSIONS] if rows else []
    for first in rows:
        if first["baseline"] is None:
            name = first["config"]
            family = [row for row in rows if name in (row["config"], row["baseline"])]
            parts.append(f"\n### {TITLES.get(name.split('/')[-1], name)}\n")
            parts.append(_table(family))
            parts += _provenance(family)
            parts += [_figures(row) for row in family if row.get("figures")]
    return parts


def _figures(row: Row) -> str:
    name = row["config"].split("/")[-1]
    return "\n" + "\n".join(f"![{name}: {what}]({path})" for what, path in row["figures"].items())


def _table(rows: Sequence[Row]) -> str:
    bins = [b for row in rows for b in _measured(row, "by_distance").get("bins", ())]
    ranges = " / ".join(dict.fromkeys(b["range"] for b in bins))
    head = [f"{cell}: {ranges}" if cell == "right" and ranges else cell for cell in HEAD]
    lines = [line(head), line(["---", "---"] + ["--:"] * (len(head) - 2))]
    return "\n".join([*lines, *(line(_cells(row)) for row in rows)])


def _cells(row: Row) -> list[str]:
    measured = row["measured"] or {}
    task = "keypoint" if "keypoint" in measured else "box"
    far = _measured(row, "by_distance").get("farthest_over_control")
    return [
        f"`{row['config']}`",
        row["note"] or "baseline",
        _number(measured.get("learning_rate"), "g"),
        _ap(measured, task),
        *(_difference(_measured(row, key).get(task)) for key in ("paired", "over_control")),
        " / ".join(_number(b["mean"], ".0f") for b in _measured(row, "by_distance").get("bins", ()))
        or "-",
        _difference(far),
        _number(measured.get("s_per_iter"), ".2f"),
    ]


def _measured(row: Row, key: str) -> dict[str, Any]:
    found: dict[str, Any] = (row["measured"] or {}).get(key, {})
    return found


def _ap(measured: dict[str, Any], task: str) -> str:
    if task not in measured:
        return "-"
    std = measured.get("std", {}).get(task)
    return f"{measured[task][0]:.1f}" + (f" ± {std[0]:.1f}" if std else "")


def _difference(paired: dict[str, Any] | None) -> str:
    return difference(paired) if paired else "-"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _provenance(rows: Sequence[Row]) -> list[str]:
    """A line for each command, with the models that it has measured."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if m := row["measured"]:
            words = [f"`{m['command']}`", f"seeds {', '.join(map(str, m['seeds']))}"]
            words += [f"commit {m['commit']}", m["versions"], m["hardware"]]
            if m.get("config_sha256", row.get("config_sha256")) != row.get("config_sha256"):
                words.append("**config changed since**")
            said.setdefault(", ".join(words), []).append(f"`{row['config'].split('/')[-1]}`")
    return [f"\n{', '.join(names)} here: {words}" for words, names in said.items()]
