"""Compare training and test data: the same images in both, other categories."""

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .check import Checked


def check_splits(train: Checked, test: Checked) -> None:
    """Note in the test data's findings what it shares with the training data, and must not.

    Two images are the same if they are one file, or files of one name and equal bytes.
    """
    if train.content is None or test.content is None:
        return
    train_classes, test_classes = _classes(train.content), _classes(test.content)
    if [name for _, name in train_classes] != [name for _, name in test_classes]:
        only = [f"only there {one}" for one in train_classes if one not in test_classes]
        only += [f"only here {one}" for one in test_classes if one not in train_classes]
        detail = f"{train.json_file} has other ones: {'; '.join(only[:6])}"
        test.findings.file("splits_differ_in_classes", detail)
    train_paths: dict[str, list[Path]] = {}
    for _, path in _paths(train):
        train_paths.setdefault(path.name, []).append(path)
    for position, path in _paths(test):
        for other in train_paths.get(path.name, ()):
            if path == other or _equal(path, other):
                detail = f"it is also in {train.json_file.name}, as {other}"
                test.findings.image("splits_share_images", position, detail)
                break


def _classes(content: dict[str, Any]) -> list[tuple[int, Any]]:
    """Return ids and names in the order of the ids, which is that of the classes."""
    rows = [row for row in content["categories"] if isinstance(row, dict)]
    return sorted((row["id"], row.get("name")) for row in rows if isinstance(row.get("id"), int))


def _paths(data: Checked) -> Iterator[tuple[int, Path]]:
    """Yield position and path of each image with a usable name."""
    assert data.content is not None
    root = Path(data.image_root or ".").resolve()
    for position, image in enumerate(data.content["images"]):
        name = image.get("file_name") if isinstance(image, dict) else None
        if isinstance(name, str) and name:
            yield position, root / name


def _equal(one: Path, other: Path) -> bool:
    """Compare two files; names are often equal by chance (0001.jpg), sizes seldom, bytes never."""
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    return one.stat().st_size > 0 and filecmp.cmp(one, other, shallow=False)
