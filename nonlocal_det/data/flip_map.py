"""Which keypoints a horizontal flip exchanges: given by the user, or derived from their names."""

import re
from typing import Any

_SIDES = (
    *(("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("l", "r"), ("L", "R")),
    *(("lt", "rt"), ("Lt", "Rt"), ("LT", "RT")),
)
_HINT = (
    "Training flips images horizontally; then each left keypoint must become its right twin. "
    'Add "flip_map": [[left name, right name], ...] to the category'
)


def check_flip_map(value: Any, names: tuple[str, ...], where: str) -> tuple[tuple[str, str], ...]:
    """Check a category's own "flip_map".

    Args:
        value: expected to be a list of [left, right] names, each name at most once.
        names: the category's keypoints.
        where: file and category, for messages.

    Raises:
        ValueError: it is anything else.
    """
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
