"""A folder of drawn data: complete or absent, with its recipe, and never replaced unasked."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECORD = "made_by.json"


def make_folder(
    target: Path, recipe: dict[str, Any], write: Callable[[Path], None], maker: str, force: bool
) -> Path:
    """Make a folder of data, unless it is there already with the same recipe.

    It is written beside its place and renamed at the end: what is interrupted leaves nothing.

    Args:
        target: the folder; its parent is made if absent.
        recipe: all that decides the content, a version included; kept in the folder.
        write: writes the content into an empty folder.
        maker: the name of the function that the user called, for messages.
        force: replace data that was made with another recipe.

    Returns:
        ``target``.

    Raises:
        ValueError: the folder exists and was made with another recipe or by something else.
    """
    if _is_made(target, recipe, maker, force):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made, old = Path(scratch) / "made", Path(scratch) / "old"
        made.mkdir()
        write(made)
        write_json(made / RECORD, recipe)
        if not _is_made(target, recipe, maker, force):  # else another process was faster
            if target.exists():
                os.rename(target, old)
            os.rename(made, target)
    return target


def _is_made(target: Path, recipe: dict[str, Any], maker: str, force: bool) -> bool:
    """Whether the data set is there; raises when something else is and may not be replaced."""
    if not target.exists():
        return False
    record = target / RECORD
    if not record.is_file():
        raise ValueError(
            f"{target} exists but has no {RECORD}, so it was not made by {maker}. "
            "Move it away, or choose another folder."
        )
    found = json.loads(record.read_text())
    if found != recipe and not force:
        raise ValueError(
            f"{target} was made with {found}, but {recipe} was asked for. Pass force=True (--force)"
            " to replace it, give the same parameters, or choose another folder."
        )
    return bool(found == recipe)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one json file, on one line."""
    path.write_text(json.dumps(content) + "\n")
