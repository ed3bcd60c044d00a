"""Left and right are paired by the names people give them; what is unclear is asked."""

import pytest

from nonlocal_det.data.keypoint_schema import derive_flip_map


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ("nose left_eye right_eye", "left_eye right_eye"),
        ("right_eye left_eye", "left_eye right_eye"),  # the left one comes first
        ("eye-right eye-left", "eye-left eye-right"),
        ("leftEye rightEye", "leftEye rightEye"),
        ("EyeLeft EyeRight", "EyeLeft EyeRight"),
        ("LEFT_EYE RIGHT_EYE", "LEFT_EYE RIGHT_EYE"),
        ("front_left_paw front_right_paw", "front_left_paw front_right_paw"),
        ("frontleft frontright bright", "frontleft frontright"),  # "bright" has no side
        ("left right", "left right"),
        ("l_eye r_eye tail", "l_eye r_eye"),
        ("eye.L eye.R", "eye.L eye.R"),
        ("F_l_paw F_r_paw", "F_l_paw F_r_paw"),
        ("eyeL eyeR tailL", "eyeL eyeR"),  # "tailL" alone has no side
        ("LEye REye", "LEye REye"),
        ("LF RF LR RR", "LF RF LR RR"),
        ("Lhip Rhip nose", "Lhip Rhip"),
        ("l1 r1 l2 r2", "l1 r1 l2 r2"),
        ("Lt-elbow Rt-elbow", "Lt-elbow Rt-elbow"),
        ("Lear rear left_a right_a", "left_a right_a"),
    ],
)
def test_twins_are_found(names: str, pairs: str) -> None:
    expected = pairs.split()
    assert derive_flip_map(tuple(names.split()), "file") == tuple(
        zip(expected[::2], expected[1::2], strict=True)
    )


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("left_eye nose", "'left_eye' has no twin right_eye"),
        ("nose right_eye", "'right_eye' has no twin left_eye"),
        ("left_eye right_eye tail_r", "'tail_r' has no twin tail_l"),
        ("left_l right_l left_r", "could be the twin of right_l or left_r"),
        ("nose tail", "no keypoint name says left or right"),
        ("rear_end lear_end", "no keypoint name says left or right"),  # a letter inside a word
        ("bright upright", "no keypoint name says left or right"),
    ],
)
def test_what_is_unclear_is_asked(names: str, words: str) -> None:
    with pytest.raises(ValueError, match="flip_map") as error:
        derive_flip_map(tuple(names.split()), "my.json, category 'cat'")
    assert words in str(error.value)
    assert str(error.value).startswith("my.json, category 'cat'")
