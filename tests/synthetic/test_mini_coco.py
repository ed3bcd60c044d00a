"""The files of the drawn data set: deterministic, complete or absent, never replaced unasked."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from nonlocal_det.synthetic import mini_coco
from nonlocal_det.synthetic.mini_coco import _write_split, make_mini_coco

TINY: dict[str, Any] = {"num_train": 3, "num_val": 1, "size": 64}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_same_seed_gives_same_bytes_and_another_seed_gives_other_images(tmp_path: Path) -> None:
    first, again, other = (
        digests(make_mini_coco(tmp_path / name, **TINY, seed=seed))
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if not name.endswith(".json"))


def test_an_image_does_not_depend_on_the_number_of_images(tmp_path: Path) -> None:
    few = digests(make_mini_coco(tmp_path / "few", **TINY))
    more = digests(make_mini_coco(tmp_path / "more", **{**TINY, "num_train": 4, "num_val": 2}))
    images = [name for name in few if name.endswith(".png")]
    assert len(images) == 4
    assert all(few[name] == more[name] for name in images)
    assert len({few[name] for name in images}) == 4  # training and validation differ, too


def test_data_of_the_same_parameters_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make_mini_coco(tmp_path, **TINY)
    (target / "mark").touch()
    monkeypatch.delattr(mini_coco, "_write_split")  # nothing is drawn in vain
    assert make_mini_coco(tmp_path, **TINY) == target
    assert (target / "mark").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mini_coco"]


def test_other_parameters_or_versions_are_refused_and_replaced_only_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make_mini_coco(tmp_path, **TINY)
    before = digests(target)
    with monkeypatch.context() as patch:
        patch.setattr(mini_coco, "VERSION", 2)
        with pytest.raises(ValueError, match="'version': 2"):
            make_mini_coco(tmp_path, **TINY)
    with pytest.raises(ValueError, match=r"'seed': 0.*'seed': 1.*--force"):
        make_mini_coco(tmp_path, **TINY, seed=1)
    assert digests(target) == before
    make_mini_coco(tmp_path, **TINY, seed=1, force=True)
    assert digests(target) != before
    assert [path.name for path in tmp_path.iterdir()] == ["mini_coco"]


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "mini_coco" / "precious"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(ValueError, match="no made_by.json.*Move it away"):
        make_mini_coco(tmp_path, **TINY, force=True)
    assert precious.exists()


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(root: Path, split: str, *args: Any) -> None:
        if split == "val2017":
            raise KeyboardInterrupt
        _write_split(root, split, *args)

    monkeypatch.setattr(mini_coco, "_write_split", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_mini_coco(tmp_path, **TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_faster_process_wins_and_its_data_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: Any) -> None:
        monkeypatch.undo()
        (make_mini_coco(tmp_path, **TINY) / "mark").touch()
        _write_split(*args)

    monkeypatch.setattr(mini_coco, "_write_split", overtaken)
    assert (make_mini_coco(tmp_path, **TINY) / "mark").exists()


@pytest.mark.parametrize(
    ("key", "value", "least"),
    [("num_train", 0, 1), ("num_val", 0, 1), ("size", 63, 64), ("seed", -1, 0)],
)
def test_a_parameter_out_of_range_is_named(
    tmp_path: Path, key: str, value: int, least: int
) -> None:
    with pytest.raises(ValueError, match=f"{key}={value}; expected at least {least}"):
        make_mini_coco(tmp_path, **{key: value})
    assert list(tmp_path.iterdir()) == []
