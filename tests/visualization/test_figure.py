"""Colours are told apart as people with colour blindness see them (Machado et al., 2009)."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from nonlocal_det.visualization.figure import (
    LEFT,
    MIDDLE,
    NEGATIVE,
    OKABE_ITO,
    POSITIVE,
    RIGHT,
    instance_colors,
    limb_color,
)

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def seen_as(color, kind):
    """CIELAB of an sRGB colour for an eye of a kind."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array(TO_XYZ) @ np.clip(np.array(MACHADO[kind]) @ linear, 0, 1)
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-6))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colors, kind):
    return min(
        np.linalg.norm(seen_as(a, kind) - seen_as(b, kind)) for a, b in combinations(colors, 2)
    )


@pytest.mark.parametrize("kind", MACHADO)
def test_colors_are_apart_for_every_eye(kind):
    assert nearest(OKABE_ITO, kind) > 10  # 2.3 is just noticeable
    assert nearest((LEFT, RIGHT, MIDDLE), kind) > 15
    assert nearest((POSITIVE, NEGATIVE), kind) > 40


def test_the_measure_sees_what_is_not_apart():
    assert nearest(("#d00000", "#5a5a00"), "protanopia") < 10  # red and olive


def test_instances_and_limbs_have_their_colors():
    assert instance_colors(9) == [*OKABE_ITO, *OKABE_ITO[:2]]
    assert limb_color("left_hip", "left_knee") == LEFT
    assert limb_color("right_hip", "right_knee") == RIGHT
    assert limb_color("left_hip", "right_hip") == MIDDLE == limb_color("nose", "left_eye")
