"""Markdown tables and the numbers in them."""

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Join cells into a table; the first ``left`` columns are words, the rest numbers."""
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def number(value: float | None, form: str, unit: float = 1) -> str:
    """Format a value in a unit, or "-" for None."""
    return "-" if value is None else format(value / unit, form)
