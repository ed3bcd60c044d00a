"""The cells of the tables: numbers with their spreads and intervals, as text."""

from collections.abc import Sequence

from .record import Json

NOTHING: Json = {"mean": None, "std": None}
"""A `Summary` of no values."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A markdown table; the first ``left`` columns are words, the rest numbers."""
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def cell(text: str) -> str:
    """Any text as one cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def scaled(value: float | None, unit: float) -> float | None:
    """A value in other units; None stays."""
    return None if value is None else value / unit


def number(value: float | None, form: str) -> str:
    """A value in a format of Python's, or "-" for None."""
    return "-" if value is None else format(value, form)


def spread(value: Json) -> str:
    """Mean and standard deviation of a `Summary`."""
    if value["mean"] is None:
        return "-"
    std = "" if value["std"] is None else f" +- {value['std']:.2f}"
    return f"{value['mean']:.2f}{std}"


def interval(value: Sequence[float] | None) -> str:
    """The ends of an interval, or "-" for None."""
    return "-" if value is None else f"{value[0]:+.2f} .. {value[1]:+.2f}"


def difference(row: Json) -> list[str]:
    """Mean, interval and the single values."""
    return [
        number(row["difference"]["mean"], "+.2f"),
        interval(row["difference"]["interval"]),
        ", ".join(f"{value:+.2f}" for value in row["by_seed"].values()) or "-",
    ]
