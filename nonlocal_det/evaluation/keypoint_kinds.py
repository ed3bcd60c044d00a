"""What a predicted keypoint is: good, jitter, inversion, swap or miss.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017, section 3.1. Apart from the counting, so that one detection can be asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GOOD, NEAR = 0.85, 0.5  # similarity of a good keypoint, and of one that is at a place at all


@dataclass(frozen=True)
class Pose:
    """What must be known of the keypoints.

    Attributes:
        mirror: the index of each keypoint's left-right twin, its own without one: (K,).
        sigmas: OKS sigmas, as a share of the object's scale: (K,).
    """

    mirror: np.ndarray
    sigmas: np.ndarray

    @classmethod
    def of(
        cls, names: Sequence[str], flip_map: Sequence[tuple[str, str]], sigmas: Sequence[float]
    ) -> "Pose":
        """From a data set's metadata: K names, pairs of names, K sigmas.

        Raises:
            ValueError: the numbers of names and sigmas differ, or a pair has an unknown name.
        """
        unknown = {name for pair in flip_map for name in pair} - set(names)
        if len(names) != len(sigmas) or unknown:
            raise ValueError(
                f"{len(names)} keypoints, {len(sigmas)} OKS sigmas, and unknown names in the flip "
                f"map: {sorted(unknown)}; give a sigma for each keypoint and pairs of their names"
            )
        mirror = np.arange(len(names))
        for left, right in flip_map:
            a, b = names.index(left), names.index(right)
            mirror[[a, b]] = b, a
        return cls(mirror, np.asarray(sigmas, dtype=float))


def similarity(points: np.ndarray, true: np.ndarray, area: np.ndarray, pose: Pose) -> np.ndarray:
    """The similarity of each keypoint to each object's: exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        points: predicted places in pixels, (K, 2).
        true: the objects' keypoints, x, y and visibility, (G, K, 3).
        area: of the objects in square pixels, (G,).
        pose: with K sigmas.

    Returns:
        From 0 to 1, and -1 where an object's keypoint is not labelled: (G, K).
    """
    squared = ((true[..., :2] - points) ** 2).sum(axis=-1)  # (G, K)
    scale = 2 * (area[:, None] + np.spacing(1)) * (2 * pose.sigmas) ** 2
    return np.where(true[..., 2] > 0, np.exp(-squared / scale), -1.0)


def classify_keypoints(
    points: np.ndarray, true: np.ndarray, area: np.ndarray, own: int, pose: Pose
) -> list[tuple[str, float]]:
    """Say of each predicted keypoint what it is, for the person it was matched to.

    - good: similarity to its own place >= 0.85;
    - jitter: from 0.5 to 0.85;
    - inversion: below 0.5, and >= 0.5 to the mirrored keypoint of the same person;
    - swap: below 0.5, and >= 0.5 to the same or the mirrored keypoint of another person;
    - miss: near none of these. Where it could be inversion or swap, the nearer one.

    Args:
        points: predicted places, (K, 2).
        true: the keypoints of the image's people, (G, K, 3).
        area: theirs, (G,).
        own: the index of the person it was matched to.
        pose: mirrored keypoints and sigmas.

    Returns:
        For each keypoint its kind, "" if not labelled, and its similarity to where it is: (K,).
    """
    same = similarity(points, true, area, pose)
    mirrored = similarity(points, true[:, pose.mirror], area, pose)
    right = same[own]
    inverted = np.where(pose.mirror == np.arange(len(points)), -1.0, mirrored[own])
    others = np.arange(len(true)) != own
    swapped = np.maximum(same, mirrored)[others].max(axis=0, initial=-1.0)
    kinds = []
    for k, value in enumerate(right):
        wrong = max(inverted[k], swapped[k])
        if value < 0:
            kinds.append(("", 0.0))
        elif value >= NEAR:
            kinds.append(("good" if value >= GOOD else "jitter", float(value)))
        elif wrong >= NEAR:
            kinds.append(("inversion" if inverted[k] == wrong else "swap", float(wrong)))
        else:
            kinds.append(("miss", float(value)))
    return kinds
