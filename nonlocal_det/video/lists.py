"""Lists of a user's own videos: class folders, or a text file with a line for each video."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset(".mp4 .mkv .webm .avi .mov .m4v .mpg .mpeg .ts .flv .3gp .wmv".split())
"""Endings of the files that a class folder is searched for."""

CLASSES = "classes.txt"
"""A file in the folder of the videos, or beside the list, that names the classes: one a line."""

_FORMATS = "'path,label', 'path label' or, for several labels, 'path,label,label'"


@dataclass(frozen=True)
class Row:
    """A video and its labels.

    Attributes:
        path: of the file.
        labels: names, or numbers as text; any number of them.
        where: list and line; "" in class folders.
    """

    path: Path
    labels: tuple[str, ...]
    where: str


def read_rows(listing: str, folder: Path) -> list[Row]:
    """Read a list, or class folders.

    Args:
        listing: a text file with a line for each video: ``path,label`` or SlowFast's and
            mmaction2's ``path label``, and for several labels ``path,label,label`` or ``path 1 2``;
            ``-`` where the folder has a folder for each class.
        folder: to which paths are relative.

    Raises:
        FileNotFoundError: there is no such list or folder.
        ValueError: it has no video, or a line of another format.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--video-data: {folder}: no such folder")
    if listing == "-":
        rows = [
            Row(path, (path.relative_to(folder).parts[0],), "")
            for path in find_videos(folder)
            if path.parent != folder
        ]
        if not rows:
            raise ValueError(
                f"--video-data: {folder} has no videos in class folders; expected "
                f"{folder.name}/CLASS/FILE with one of {' '.join(sorted(SUFFIXES))}"
            )
        return rows
    path = Path(listing)
    if not path.is_file():
        raise FileNotFoundError(
            f"--video-data: {path}: no such list; give a file, or - for folders"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--video-data: {path} is no text in UTF-8; expected lines of {_FORMATS}"
        ) from error
    rows = [
        _read_line(line, f"{path}:{number}", folder)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not rows:
        raise ValueError(f"--video-data: {path} has no line; expected lines of {_FORMATS}")
    return rows


def find_classes(sources: Sequence[tuple[str, Path]], rows: Sequence[Row]) -> list[str]:
    """Find the classes, in order: those of a `CLASSES` file, else sorted names, else all numbers.

    Args:
        sources: list and folder of each data set that shares the classes.
        rows: of all of them.

    Raises:
        ValueError: a label is not in the `CLASSES` file, two such files differ, or names and
            numbers are mixed.
    """
    files = {
        place / CLASSES
        for listing, folder in sources
        for place in (folder, folder.parent, *([Path(listing).parent] if listing != "-" else []))
        if (place / CLASSES).is_file()
    }
    known = {path: _read_classes(path) for path in sorted(files)}
    path, *others = [*known, None]
    texts = {text for row in rows for text in row.labels}
    numbers = bool(texts) and all(text.isdecimal() for text in texts)
    if path is None:
        if numbers:
            return [str(number) for number in range(max(map(int, texts)) + 1)]
        stray = next((r for r in rows if r.where and any(t.isdecimal() for t in r.labels)), None)
        if stray:
            raise ValueError(
                f"{stray.where}: label {stray.labels[0]!r} is a number and others are names; give "
                f"all as names, or all as numbers with their names in {CLASSES}, one a line"
            )
        return sorted(texts)
    for other in others[:-1]:
        assert other is not None
        if known[other] != known[path]:
            raise ValueError(f"{path} and {other} list different classes; keep one of them")
    classes = known[path]
    allowed = set(classes) | ({str(k) for k in range(len(classes))} if numbers else set())
    for row in rows:
        for text in row.labels:
            if text not in allowed:
                raise ValueError(
                    f"{row.where or row.path}: label {text!r} is not among the {len(classes)} "
                    f"classes of {path}; add it there, or correct it (numbers count from 0)"
                )
    return classes


def find_videos(folder: Path) -> list[Path]:
    """Find the video files of a folder and of those in it, by their endings, sorted."""
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def _read_classes(path: Path) -> list[str]:
    lines: Iterable[str] = path.read_text(encoding="utf-8-sig").splitlines()
    classes = [line.strip() for line in lines if line.strip()]
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice or not classes:
        what = f"lists {twice!r} twice" if twice else "is empty"
        raise ValueError(f"{path} {what}; expected the names of all classes, one a line")
    return classes


def _read_line(line: str, where: str, folder: Path) -> Row:
    """Split at commas if there are any, else at blanks from the right: paths may have blanks."""
    if "," in line:
        name, *labels = (part.strip() for part in line.split(","))
    else:
        parts = line.split()
        count = next((n for n, p in enumerate(reversed(parts)) if not p.isdecimal()), len(parts))
        count = max(count, 1) if len(parts) > 1 else 0  # one name, or several numbers
        name = line.rsplit(None, count)[0].strip() if 0 < count < len(parts) else ""
        labels = parts[len(parts) - count :]
    if not name or not labels or not all(labels):
        raise ValueError(f"{where}: {line!r} has no label or no path; expected {_FORMATS}")
    return Row(folder / name, tuple(labels), where)
