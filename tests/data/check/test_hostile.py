"""Whatever a json holds, the check ends with findings, not with an error of its own."""

import copy
import json
import random
from typing import Any

import pytest
from good_data import GoodData

from nonlocal_det.data.check import check_dataset, report_json, report_text, write_clean

PARTS = frozenset({"masks", "keypoints", "raw keypoints", "evaluation"})
VALUES: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**30, 10**400, float("nan"), float("inf"), "", "x", "\ud800"),
    *([], {}, [[]], [None], [1], [[1, 2]], {"id": 1}, [10**400] * 8, [[10**400] * 8], [True] * 9),
    *({"size": [48, 64], "counts": [10**400]}, {"size": [2**40, 2**40], "counts": "0"}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a json value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in items:
        found.append((*path, key))
        if isinstance(one, dict | list):
            found += places(one, (*path, key))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_no_value_breaks_the_check(good: GoodData, seed: int, tmp_path) -> None:
    rng = random.Random(seed)
    paths = [path for path in places(good.content) if len(path) > 1]
    original = good.content
    for _ in range(40):
        good.content = copy.deepcopy(original)
        for path in rng.sample(paths, 2):
            target = good.content
            try:
                for key in path[:-1]:
                    target = target[key]
                target[path[-1]] = copy.deepcopy(rng.choice(VALUES))
            except (TypeError, KeyError, IndexError):
                continue  # the other change has removed this place
        good.json_file.write_text(json.dumps(good.content))
        checked = check_dataset(good.json_file, good.root)
        assert report_text(checked, PARTS).encode("utf-8", "replace")
        assert json.dumps(report_json(checked, PARTS))
        stopping = checked.findings.stopping(PARTS)
        if stopping and all(one.images or one.annotations for one in stopping):
            write_clean(checked, tmp_path / "clean.json", PARTS)
            again = check_dataset(tmp_path / "clean.json", good.root, training=False)
            left = {one.kind for one in again.findings.stopping(PARTS)}
            assert not left, (left, [one.kind for one in stopping])


def test_a_deeply_nested_json_is_named(good: GoodData) -> None:
    good.json_file.write_text("[" * 200_000)
    assert set(check_dataset(good.json_file).findings.by_kind) == {"not_json"}
