"""Read a category's keypoints from a COCO json: names, flip map, skeleton and OKS sigmas."""

import colorsys
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.data.datasets.builtin_meta import (
    COCO_PERSON_KEYPOINT_NAMES,
    KEYPOINT_CONNECTION_RULES,
)
from pycocotools.cocoeval import Params

Rule = tuple[str, str, tuple[int, int, int]]
_SIDES = (
    *(("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("l", "r"), ("L", "R")),
    *(("lt", "rt"), ("Lt", "Rt"), ("LT", "RT")),
)
_HINT = (
    "Training flips images horizontally; then each left keypoint must become its right twin. "
    'Add "flip_map": [[left name, right name], ...] to the category'
)


@dataclass(frozen=True)
class KeypointSchema:
    """What Detectron2 needs to know about a data set's keypoints.

    Attributes:
        names: K names.
        flip_map: pairs of names that a horizontal flip exchanges.
        connection_rules: pairs of names to connect in drawings, each with an RGB colour.
        oks_sigmas: K sigmas of the object keypoint similarity.
    """

    names: tuple[str, ...]
    flip_map: tuple[tuple[str, str], ...]
    connection_rules: tuple[Rule, ...]
    oks_sigmas: tuple[float, ...]

    def metadata(self) -> dict[str, Any]:
        """Return the entries of Detectron2's metadata."""
        return {
            "keypoint_names": self.names,
            "keypoint_flip_map": self.flip_map,
            "keypoint_connection_rules": list(self.connection_rules),
            "keypoint_oks_sigmas": self.oks_sigmas,
        }


def find_keypoint_schema(content: dict[str, Any], json_path: Path) -> KeypointSchema | None:
    """Describe the keypoints of a whole COCO json.

    Args:
        content: the json; its annotations' categories exist.
        json_path: its path, for messages.

    Returns:
        The description, or None when no keypoint is labelled.

    Raises:
        ValueError: labelled keypoints have no names, another number, or two descriptions.
    """
    by_id = {category["id"]: category for category in content["categories"]}
    used: dict[Any, dict[str, Any]] = {}
    for annotation in content["annotations"]:
        keypoints = annotation.get("keypoints") or []
        if not any(v > 0 for v in keypoints[2::3]):
            continue
        category = by_id[annotation["category_id"]]
        used[category["id"]] = category
        names = category.get("keypoints")
        where = f"{json_path}, category {category['name']!r}"
        if not names:
            raise ValueError(
                f"{where}: annotation {annotation['id']} has {len(keypoints) // 3} keypoints, but "
                'the category does not name them. Add "keypoints": [names] to the category.'
            )
        if len(keypoints) != 3 * len(names):
            raise ValueError(
                f"{where}: annotation {annotation['id']} has {len(keypoints)} keypoint numbers; "
                f"expected x, y, v for each of the {len(names)} names, {3 * len(names)} in all"
            )
    if not used:
        return None
    _check_agreement(list(used.values()), json_path)
    category = next(iter(used.values()))
    return _read_schema(category, f"{json_path}, category {category['name']!r}")


def _check_agreement(categories: list[dict[str, Any]], json_path: Path) -> None:
    first = categories[0]
    for key in ("keypoints", "flip_map", "oks_sigmas"):
        for other in categories[1:]:
            if other.get(key) != first.get(key):
                raise ValueError(
                    f"{json_path}: categories {first['name']!r} and {other['name']!r} differ in "
                    f'"{key}" ({first.get(key)} and {other.get(key)}). One keypoint head serves '
                    "all categories: give them the same, or make a data set of each."
                )


def _read_schema(category: dict[str, Any], where: str) -> KeypointSchema:
    names = _names(category["keypoints"], where)
    flip_map = category.get("flip_map")
    if flip_map is None:
        pairs = derive_flip_map(names, where)
    else:
        pairs = _check_flip_map(flip_map, names, where)
    rules = _connection_rules(category.get("skeleton") or (), names, where)
    return KeypointSchema(names, pairs, rules, _sigmas(category.get("oks_sigmas"), names, where))


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f'{where}: "keypoints" is {value!r}; expected a list of names')
    repeated = sorted({name for name in value if value.count(name) > 1})
    if repeated:
        raise ValueError(f'{where}: "keypoints" repeats {", ".join(repeated)}; names must differ')
    return tuple(value)


def _connection_rules(skeleton: Any, names: tuple[str, ...], where: str) -> tuple[Rule, ...]:
    """COCO's skeleton counts keypoints from 1."""
    if names == COCO_PERSON_KEYPOINT_NAMES:
        return tuple(KEYPOINT_CONNECTION_RULES)
    rules = []
    for position, pair in enumerate(skeleton):
        numbers = pair if isinstance(pair, list) else []
        if len(numbers) != 2 or not all(n in range(1, len(names) + 1) for n in numbers):
            raise ValueError(
                f'{where}: "skeleton" has {pair!r}; expected two numbers from 1 to {len(names)}, '
                "the positions of two keypoints counted from 1"
            )
        color = colorsys.hsv_to_rgb(position / len(skeleton), 0.6, 1.0)
        red, green, blue = (round(255 * channel) for channel in color)
        rules.append((names[pair[0] - 1], names[pair[1] - 1], (red, green, blue)))
    return tuple(rules)


def _sigmas(value: Any, names: tuple[str, ...], where: str) -> tuple[float, ...]:
    if value is None:
        coco = dict(
            zip(COCO_PERSON_KEYPOINT_NAMES, Params("keypoints").kpt_oks_sigmas, strict=True)
        )
        if all(name in coco for name in names):
            return tuple(float(coco[name]) for name in names)
        start = ", ".join(["0.05"] * len(names))
        raise ValueError(
            f'{where}: no "oks_sigmas", and COCO has none for these names. Add to the category '
            f'"oks_sigmas": [{start}], one per keypoint ({", ".join(names)}). A sigma is how far '
            "two careful annotators differ on the keypoint, as a fraction of the object's size "
            "(the square root of its area); COCO's go from 0.025 (eyes) to 0.107 (hips), and 0.05 "
            "is a value to start from. Keypoint AP depends on it."
        )
    numbers = isinstance(value, list) and all(
        isinstance(sigma, int | float) and sigma > 0 for sigma in value
    )
    if not numbers or len(value) != len(names):
        raise ValueError(
            f'{where}: "oks_sigmas" is {value!r}; expected {len(names)} numbers above 0, '
            f"one per keypoint ({', '.join(names)})"
        )
    return tuple(float(sigma) for sigma in value)


def _check_flip_map(value: Any, names: tuple[str, ...], where: str) -> tuple[tuple[str, str], ...]:
    """Check a category's own "flip_map": a list of [left, right] names, each at most once."""
    is_pairs = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in value
    )
    used = [name for pair in value for name in pair] if is_pairs else []
    wrong = [name for name in used if name not in names or used.count(name) > 1]
    if not is_pairs or wrong:
        reason = f"unknown or repeated: {wrong}" if wrong else "not a list of pairs"
        raise ValueError(
            f'{where}: "flip_map" is {value!r} ({reason}); expected a list of '
            f"[left name, right name] with each of these at most once: {', '.join(names)}"
        )
    return tuple((left, right) for left, right in value)


def derive_flip_map(names: tuple[str, ...], where: str) -> tuple[tuple[str, str], ...]:
    """Pair the names that differ in their side: left_eye, eyeRight, Lt eye, l_eye, Leye, l1, eyeL.

    Args:
        names: the category's keypoints.
        where: file and category, for messages.

    Returns:
        Pairs (left, right), in the order of the left names.

    Raises:
        ValueError: a side lacks its twin, has two, or no name has a side.
    """
    twins = {name: _twin(name, names, where) for name in names}
    pairs = tuple((name, twin[0]) for name, twin in twins.items() if twin and twin[1])
    if not pairs:
        raise ValueError(
            f'{where}: no "flip_map", and no keypoint name says left or right '
            f'({", ".join(names)}). {_HINT}, or "flip_map": [] if no keypoint has a side.'
        )
    return pairs


def _twin(name: str, names: tuple[str, ...], where: str) -> tuple[str, bool] | None:
    """The name's twin and whether the name is the left one; None for a name without a side."""
    readings = _readings(name)
    found = [twin for twin in readings if twin in names]
    if len(found) == 1:
        return found[0], readings[found[0]][0]
    # "bright" or "tailL" alone has no side: only a side that stands apart must have its twin.
    if not found and not any(certain for _, certain in readings.values()):
        return None
    problem = (
        f"could be the twin of {' or '.join(found)}"
        if found
        else f"has no twin {' or '.join(readings)}"
    )
    raise ValueError(f"{where}: keypoint {name!r} {problem}. {_HINT}.")


def _readings(name: str) -> dict[str, tuple[bool, bool]]:
    """Each possible twin, with whether `name` is the left one and whether that is certain."""
    readings: dict[str, tuple[bool, bool]] = {}
    for left, right in _SIDES:
        for side, other, is_left in ((left, right, True), (right, left, False)):
            for pattern, certain in _patterns(side):
                twin, count = re.subn(pattern, other, name)
                if count:
                    readings.setdefault(twin, (is_left, certain))
    return readings


def _patterns(side: str) -> list[tuple[str, bool]]:
    """Where a side may stand in a name, the certain places first."""
    if len(side) == 1:
        apart = rf"(?<![A-Za-z0-9]){side}(?![A-Za-z0-9])"  # l_eye, eye.L
        small = "a-z" if side.isupper() else ""  # "rear" is no twin of "lear"
        by_case = [rf"^{side}(?=[A-Z0-9{small}])"]  # LEye, lEye, l1, Leye
        if side.isupper():
            by_case.append(rf"(?<=[a-z]){side}$")  # eyeL
        return [(apart, True), *((pattern, False) for pattern in by_case)]
    before = "[a-z]" if side[0].islower() else "[A-Z]"
    return [(rf"(?<!{before}){side}(?![a-z])", True), (side, False)]  # left_eye, eyeLeft; frontleft
