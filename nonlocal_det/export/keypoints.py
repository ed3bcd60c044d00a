"""Heat maps to keypoints in basic operations, which every runtime has and computes alike."""

import torch
from torch import Tensor


@torch.jit.script_if_tracing  # the loop is as long as there are detections
def decode_keypoints(maps: Tensor, boxes: Tensor) -> Tensor:
    """The place of each joint: the largest value of its heat map, made as large as its box.

    The same numbers as Detectron2's ``heatmaps_to_keypoints``, without its score of the logit.

    Args:
        maps: logits (R, K, S, S).
        boxes: (R, 4) in pixels.

    Returns:
        (R, K, 3): x and y in pixels, and the score.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    cells = sides.ceil()
    step = sides / cells  # of one cell in pixels, (R, 2) as x, y
    found = torch.zeros((0, maps.shape[1], 3), dtype=maps.dtype, device=maps.device)
    for i in range(maps.shape[0]):
        across = enlarge(cells[i, 0], maps)  # (w, S)
        down = enlarge(cells[i, 1], maps)  # (h, S)
        # (h, S) @ (K, S, S) @ (S, w) -> (K, h, w)
        full = torch.matmul(torch.matmul(down, maps[i]), across.transpose(0, 1))
        top, at = full.flatten(1).max(1)
        width = cells[i, 0].to(torch.int64)
        y = torch.div(at, width, rounding_mode="floor")
        x = at - y * width
        place = torch.stack([x, y], 1).to(maps.dtype) + 0.5
        place = place * step[i].unsqueeze(0) + boxes[i, :2].unsqueeze(0)
        # comparable between boxes: the sum is over the small map
        score = 1 / (maps[i] - top.unsqueeze(1).unsqueeze(2)).exp().sum([1, 2])
        joint = torch.cat([place, score.unsqueeze(1)], 1).unsqueeze(0)  # (1, K, 3)
        found = torch.cat([found, joint])
    return found


def enlarge(cells: Tensor, maps: Tensor) -> Tensor:
    """Bicubic interpolation of a row of S values to so many cells, as a matrix.

    *Source*: Keys, Cubic convolution interpolation, 1981, with a = -0.75; past the ends the first
    and last values go on.

    Args:
        cells: a number n.
        maps: of side S; for its dtype and device.

    Returns:
        (n, S); each row adds up to 1.
    """
    side, a = maps.shape[-1], -0.75
    target = torch.arange(int(cells), dtype=maps.dtype, device=maps.device)
    source = (target + 0.5) * (side / cells) - 0.5
    taps = torch.arange(-2, side + 2, device=maps.device)
    far = (source.unsqueeze(1) - taps.to(maps.dtype)).abs()  # (n, S + 4)
    near = ((a + 2) * far - (a + 3)) * far * far + 1
    next_ = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    weights = torch.where(far <= 1, near, torch.where(far < 2, next_, torch.zeros_like(far)))
    columns = torch.arange(side, device=maps.device)
    fold = taps.clamp(0, side - 1).unsqueeze(1) == columns  # (S + 4, S)
    return torch.matmul(weights, fold.to(maps.dtype))
