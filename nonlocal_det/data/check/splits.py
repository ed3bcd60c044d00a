"""Compare training and test data: the same images in both, other categories."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .check import Checked


def check_splits(train: Checked, test: Checked) -> None:
    """Note in the test data's findings what it shares with the training data, and must not.

    Two images are the same if they are one file, or files of one name and equal bytes.
    """
    if train.content is None or test.content is None:
        return
    theirs, ours = _classes(train.content), _classes(test.content)
    if theirs != ours:
        said = _difference(theirs, ours)
        test.findings.file("splits_differ_in_classes", f"{train.json_file} has other ones: {said}")
    train_paths = _paths(train)
    for position, name, path in _records(test):
        for other in train_paths.get(name, ()):
            if path == other or _equal(path, other):
                said = f"it is also in {train.json_file.name}, as {other}"
                test.findings.image("splits_share_images", position, said)
                break


def _classes(content: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Ids and names; in the order of the ids, which is that of the classes."""
    categories = [one for one in content["categories"] if isinstance(one, dict)]
    return sorted(((one.get("id"), one.get("name")) for one in categories), key=str)


def _difference(theirs: Iterable[Any], ours: Iterable[Any]) -> str:
    only = [f"only there {one}" for one in theirs if one not in ours]
    only += [f"only here {one}" for one in ours if one not in theirs]
    return "; ".join(only[:6])


def _records(data: Checked) -> Iterable[tuple[int, str, Path]]:
    """Position, base name and path of each image with a usable name."""
    assert data.content is not None
    root = Path(data.image_root or ".").resolve()
    for position, image in enumerate(data.content["images"]):
        name = image.get("file_name") if isinstance(image, dict) else None
        if isinstance(name, str) and name:
            path = root / name
            yield position, path.name, path


def _paths(data: Checked) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for _, name, path in _records(data):
        found.setdefault(name, []).append(path)
    return found


def _equal(one: Path, other: Path) -> bool:
    """Equal files; names are often equal by chance (0001.jpg), sizes seldom, bytes never."""
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    return one.stat().st_size > 0 and _digest(one) == _digest(other)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
