"""Whether an exported file finds what the model finds: detections matched one to one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Instances
from torch import Tensor, nn

Outputs = dict[str, Tensor]
Runner = Callable[[Tensor, float], Outputs]
"""Takes an image (3, H, W) and a threshold, gives what `DetectionGraph` does, by name."""

TOLERANCE = {
    **{"boxes": 1e-3, "scores": 1e-5, "classes": 0.0, "masks": 1e-4},
    **{"keypoints": 1e-3, "keypoint scores": 1e-4},
}
"""Largest differences: boxes and keypoints in pixels, scores and masks as probabilities; keypoint
scores above 1, which are exponentials of logits, as a share of the score."""

MOVED_JOINTS = 0.02
"""The share of joints that may be elsewhere, where a heat map has two places as high."""

LEAST = 3
"""Detections an image that a check needs to say something, as a mean."""

TINY_NOISE = 1e-3
"""Grey levels: what they change in the model's result is no fault of a file, up to `MOST`."""

MOST = 100.0
"""How many times `TOLERANCE` the model's own change may be; beyond, the picture says nothing."""

DRAWS = 6
"""Draws of the tiny noise: each breaks a tie in one of its ways."""

GRAIN = (1.0, 8.0)
"""Grey levels of the noise added to a picture that says nothing, such as one of one colour."""


@dataclass
class Comparison:
    """What has been compared, and how far apart it was.

    Attributes:
        images: their number.
        detections: in all of them.
        threshold: detections scored more.
        worst: the largest difference of each output.
        joints: the number of keypoints.
        moved: keypoints that are elsewhere, at a place of the same score.
    """

    images: int = 0
    detections: int = 0
    threshold: float = 0.0
    worst: dict[str, float] = field(default_factory=dict)
    joints: int = 0
    moved: int = 0

    @property
    def too_many_moved(self) -> bool:
        """Whether more joints are elsewhere than `MOVED_JOINTS` allows."""
        return self.moved > max(1, MOVED_JOINTS * self.joints)

    def note(self, name: str, difference: Tensor) -> None:
        """Remember the largest difference of an output."""
        self._note(name, float(difference.max()) if difference.numel() else 0.0)

    def add(self, other: "Comparison") -> None:
        """Take in what another one has compared."""
        for key in ("images", "detections", "joints", "moved"):
            setattr(self, key, getattr(self, key) + getattr(other, key))
        for name, largest in other.worst.items():
            self._note(name, largest)

    def _note(self, name: str, largest: float) -> None:
        self.worst[name] = max(self.worst.get(name, 0.0), largest)

    def __str__(self) -> str:
        """In a line, for a tool to print."""
        worst = ", ".join(f"{name} {value:.1e}" for name, value in self.worst.items())
        moved = f", {self.moved} of {self.joints} joints at an equal place" if self.moved else ""
        return f"{self.images} images, {self.detections} detections, apart by {worst}{moved}"


def compare(
    model: nn.Module,
    run: Runner,
    images: Sequence[Tensor],
    threshold: float,
) -> Comparison:
    """Run a model and its exported file on the same images.

    Args:
        model: in evaluation mode.
        run: the file.
        images: (3, H, W) each; at least one.
        threshold: detections score more than this; lowered where too few do to
            compare anything. Also compared: the first image with a
            threshold of 1, where nothing is found.

    Returns:
        What was compared.

    Raises:
        ValueError: the two differ by more than `TOLERANCE`, and by more than the model's own
            change under tiny noise; says in what, where, by how much.
    """
    threshold = _telling(model, images, threshold)
    result = Comparison(threshold=threshold)
    for n, image in enumerate(images):
        _compare_one(result, model, run, image, threshold, f"image {n}")
    _compare_one(result, model, run, images[0], 1.0, "no detection")
    if result.too_many_moved:
        raise ValueError(f"{result.moved} of {result.joints} joints are elsewhere")
    return result


def _telling(model: nn.Module, images: Sequence[Tensor], threshold: float) -> float:
    """The highest threshold, of the one given and lower ones, that leaves enough to compare."""
    for lower in (threshold, threshold / 10, threshold / 100):
        found = [len(eager_outputs(model, image, lower)["scores"]) for image in images]
        if sum(found) >= LEAST * len(images):
            return lower
    return 0.0


def _compare_one(
    result: Comparison, model: nn.Module, run: Runner, image: Tensor, threshold: float, where: str
) -> None:
    """Compare one image by `TOLERANCE`; where that fails, by the model's own change.

    On a picture of one colour many scores are equal, so that the last digits of the arithmetic
    decide which detections are there, and large logits turn them into visible differences. Tiny
    noise shows both: its effect on the model is the limit, and where it changes which detections
    there are, the picture with more noise is compared instead.
    """
    where += f" ({image.shape[1]} x {image.shape[2]})"
    expected = eager_outputs(model, image, threshold)
    try:
        part = _match(expected, run(image, threshold), TOLERANCE, where)
        failure = ValueError(f"{where}: {part.moved} of {part.joints} joints are elsewhere")
        if not part.too_many_moved:
            result.add(part)
            return
    except ValueError as error:
        failure = error
    needed = min(len(expected["scores"]), 1)
    for grain in (0.0, *GRAIN):
        picture = _with_noise(image, grain)
        expected = eager_outputs(model, picture, threshold)
        own = _own_change(model, picture, expected, threshold)
        if own is None or len(expected["scores"]) < needed:
            continue
        limits = {name: max(limit, own.worst.get(name, 0.0)) for name, limit in TOLERANCE.items()}
        limits["keypoints"] = max(limits["keypoints"], limits["boxes"])  # joints move with boxes
        part = _match(expected, run(picture, threshold), limits, where)
        part.moved = max(part.moved - own.moved, 0)
        result.add(part)
        return
    raise failure


def _with_noise(image: Tensor, deviation: float, seed: int = 0) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return image + deviation * noise.to(image)


def _own_change(
    model: nn.Module, image: Tensor, expected: Outputs, threshold: float
) -> Comparison | None:
    """Return how much tiny noise changes the model's result; None: it has other detections."""
    limits = {name: MOST * limit for name, limit in TOLERANCE.items()}
    change = Comparison()
    for seed in range(DRAWS):
        nearby = eager_outputs(model, _with_noise(image, TINY_NOISE, seed), threshold)
        try:
            change.add(_match(expected, nearby, limits, ""))
        except ValueError:
            return None
    return change


def _match(expected: Outputs, outputs: Outputs, limits: dict[str, float], where: str) -> Comparison:
    """Compare the outputs of one image.

    Raises:
        ValueError: the two differ by more than the limits; says in what, where, by how much.
    """
    found = {name: value.cpu() for name, value in outputs.items()}
    count, other = len(expected["scores"]), len(found["scores"])
    if count != other:
        raise ValueError(f"{where}: {other} detections; the model has {count}")
    result = Comparison(images=1, detections=count)
    order = _partners(expected, found, where)
    for name, value in found.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            raise ValueError(
                f"{where}: {name} is {value.dtype} {tuple(value.shape)}; the model gives "
                f"{expected[name].dtype} {tuple(expected[name].shape)}"
            )
        _compare_output(result, name, expected[name], value[order], limits, where)
    return result


def _partners(expected: Outputs, found: Outputs, where: str) -> Tensor:
    """For each detection of the model the file's own; equal scores may come in another order."""
    far = torch.cdist(expected["boxes"], found["boxes"], p=torch.inf)  # (R, R)
    far = far + 1e6 * (expected["classes"].unsqueeze(1) != found["classes"])
    far = far + 1e3 * (expected["scores"].unsqueeze(1) - found["scores"]).abs()
    if not len(far):
        return torch.zeros(0, dtype=torch.long)
    order = far.argmin(1)
    if len(order.unique()) < len(order):
        raise ValueError(f"{where}: detections of the model that the file has not")
    return order


def _compare_output(
    result: Comparison,
    name: str,
    expected: Tensor,
    found: Tensor,
    limits: dict[str, float],
    where: str,
) -> None:
    if not found.isfinite().all():
        raise ValueError(f"{where}: {name} are not finite")
    difference = (found - expected).abs()
    if name == "keypoints":
        score = difference[..., 2] / expected[..., 2].clamp(min=1)
        result.note("keypoint scores", score)
        _refuse("keypoint scores", score, limits["keypoint scores"], where)
        elsewhere = (difference[..., :2] > limits[name]).any(-1)
        result.joints += elsewhere.numel()
        result.moved += int(elsewhere.sum())
        result.note(name, difference[..., :2][~elsewhere])
        return
    result.note(name, difference)
    _refuse(name, difference, limits[name], where)


def _refuse(name: str, difference: Tensor, most: float, where: str) -> None:
    if difference.numel() and float(difference.max()) > most:
        raise ValueError(
            f"{where}: {name} differ by {float(difference.max()):.2g}, more than {most:.2g}"
        )


def eager_outputs(model: GeneralizedRCNN, image: Tensor, threshold: float) -> dict[str, Tensor]:
    """Detect in one image, by the model itself.

    Args:
        model: a GeneralizedRCNN in evaluation mode.
        image: (3, H, W), 0 to 255.
        threshold: detections score more than this.

    Returns:
        As `DetectionGraph` gives it, on the CPU.
    """
    with torch.no_grad(), _scoring_over(model, threshold):
        (found,) = model.inference([{"image": image}], do_postprocess=False)
    return {name: value.cpu() for name, value in _named(found).items()}


def _named(found: Instances) -> dict[str, Tensor]:
    named = {
        "boxes": found.pred_boxes.tensor,
        "scores": found.scores,
        "classes": found.pred_classes,
    }
    if found.has("pred_masks"):
        named["masks"] = found.pred_masks.squeeze(1)  # (R, 1, S, S) -> (R, S, S)
    if found.has("pred_keypoints"):
        named["keypoints"] = found.pred_keypoints
    return named


@contextmanager
def _scoring_over(model: GeneralizedRCNN, threshold: float) -> Iterator[None]:
    predictor = model.roi_heads.box_predictor
    before = predictor.test_score_thresh
    predictor.test_score_thresh = threshold
    try:
        yield
    finally:
        predictor.test_score_thresh = before
