"""Check segmentations: polygons, thousands at once, and run lengths (RLE).

pycocotools is not asked: it writes outside of memory when it is given bad run lengths.
"""

from itertools import chain

import numpy as np

from .findings import Findings
from .rows import Annotation, AnnotationColumns, RunLength


def is_polygon(coordinates: list[float]) -> bool:
    """Whether these are three points or more, as Detectron2 asks."""
    return len(coordinates) % 2 == 0 and len(coordinates) >= 6


def check_segmentations(
    rows: list[Annotation], table: AnnotationColumns, findings: Findings
) -> None:
    """Check the segmentations of some annotations, and set the extents of their polygons."""
    owners: list[int] = []  # of each polygon
    polygons: list[list[float]] = []
    for index in np.flatnonzero(table.outlined).tolist():
        segmentation, position = rows[index].segmentation, int(table.positions[index])
        if isinstance(segmentation, RunLength):
            crowd = bool(table.crowd[index])
            _check_run_length(segmentation, position, table.sizes[index], crowd, findings)
            continue
        for polygon in segmentation or ():
            if not is_polygon(polygon):
                findings.annotation("polygon_short", position, f"{len(polygon)} coordinates")
            else:
                owners.append(index)
                polygons.append(polygon)
    if polygons:
        _check_polygons(table, np.array(owners), polygons, findings)


def check_segmentations_absent(table: AnnotationColumns, findings: Findings) -> None:
    """Find objects without a segmentation in a file where others have some."""
    if table.outlined.any():
        malformed = findings.wrong_annotations("segmentation_malformed")
        absent = ~table.crowd & ~table.outlined & ~np.isin(table.positions, malformed)
        findings.annotations("segmentation_absent", table.positions[absent], "no segmentation")


def _check_polygons(
    table: AnnotationColumns, owners: np.ndarray, polygons: list[list[float]], findings: Findings
) -> None:
    """Check p polygons, of rising (p,) rows, as one array of points cut where a polygon ends."""
    counts = np.array([len(polygon) // 2 for polygon in polygons])
    points = np.fromiter(chain.from_iterable(polygons), float).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    finite = np.isfinite(low).all(1) & np.isfinite(high).all(1)
    wrong = np.unique(owners[~finite])
    detail = "a coordinate is NaN or infinite"
    findings.annotations("polygon_not_finite", table.positions[wrong], detail)
    owners, low, high = owners[finite], low[finite], high[finite]
    if not len(owners):
        return
    rows, first = np.unique(owners, return_index=True)
    extents = table.extents
    extents[rows] = np.hstack([np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)])
    boxes = table.boxes[rows]
    with np.errstate(invalid="ignore", over="ignore"):
        start, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        usable = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
        off = usable & ((extents[rows, 2:] < start) | (extents[rows, :2] > end)).any(1)
    for row in rows[off]:
        ends = ", ".join(f"{value:.1f}" for value in extents[row])
        box = ", ".join(f"{value:.1f}" for value in table.boxes[row])
        detail = f"polygons from (x0, y0, x1, y1) = ({ends}), bbox [{box}]"
        findings.annotation("polygon_off_box", int(table.positions[row]), detail)


def _check_run_length(
    mask: RunLength, position: int, image_size: np.ndarray, crowd: bool, findings: Findings
) -> None:
    size = list(mask.size)
    if not crowd:  # crowds may always be RLE
        findings.annotation("rle_as_polygon", position, f"an RLE of size {size}")
    if np.isfinite(image_size).all() and size[::-1] != image_size.tolist():
        width, height = image_size
        detail = f"size is {size}, the image's (height, width) is [{height:.0f}, {width:.0f}]"
        findings.annotation("rle_size_wrong", position, detail)
    runs = decode_counts(mask.counts) if isinstance(mask.counts, str) else mask.counts
    pixels = size[0] * size[1]
    total = -1 if runs is None else sum(runs)
    if runs is None or min(runs, default=0) < 0 or total > pixels:
        findings.annotation("rle_corrupt", position, f"{total} of {pixels} pixels")
    elif total < pixels:
        findings.annotation("rle_short", position, f"{total} of {pixels} pixels")
    elif sum(runs[1::2]) == 0:
        findings.annotation("rle_blank", position, "no pixel is set")


def decode_counts(text: str) -> list[int] | None:
    """Decode COCO's compressed counts.

    Each character holds 5 bits, lowest first, and a bit that says whether the number goes on; the
    last one's fifth bit is the sign. From the fourth number on, the difference to the one two
    before is stored.

    Returns:
        The lengths, perhaps negative; None if the text is not of that form.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs if shift == 0 else None
