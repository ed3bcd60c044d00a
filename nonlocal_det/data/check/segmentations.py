"""Sort segmentations into polygons, run lengths and what is neither, in parts of the file."""

from collections.abc import Iterator

import numpy as np

from .findings import Findings
from .polygons import CrossingSearch, check_polygons
from .run_lengths import check_run_length
from .table import AnnotationTable, numbers

PART = 20_000  # annotations at a time: COCO's polygons have 50 million numbers


def check_segmentations(table: AnnotationTable, findings: Findings) -> np.ndarray:
    """Check every segmentation.

    Returns:
        (n, 4), the x0, y0, x1, y1 of an annotation's polygons; NaN where it has none.
    """
    extents = np.full((len(table.rows), 4), np.nan)
    outlined = [one.get("segmentation") not in (None, [], "", {}) for one in table.rows]
    if not any(outlined):
        return extents
    objects = ~table.crowd
    missing = table.positions[objects & ~np.array(outlined)]
    findings.every("segmentation_absent", missing, lambda one: "no segmentation")
    search = CrossingSearch()
    for start in range(0, len(table.rows), PART):
        part = range(start, min(start + PART, len(table.rows)))
        polygons = list(_sorted(table, part, outlined, findings))
        check_polygons(table, polygons, extents, search, findings)
    return extents


def _sorted(
    table: AnnotationTable, part: range, outlined: list[bool], findings: Findings
) -> Iterator[tuple[int, list[float]]]:
    """The polygons of a part of the annotations, each with its row; all else is dealt with."""
    for row in part:
        if not outlined[row]:
            continue
        segmentation, position = table.rows[row]["segmentation"], int(table.positions[row])
        if isinstance(segmentation, dict):
            check_run_length(
                segmentation, position, table.sizes[row], bool(table.crowd[row]), findings
            )
        elif not isinstance(segmentation, list):
            said = f"segmentation is a {type(segmentation).__name__}"
            findings.annotation("segmentation_malformed", position, said)
        elif all(isinstance(one, list) for one in segmentation):
            if table.crowd[row]:
                findings.annotation("crowd_polygon", position, f"{len(segmentation)} polygons")
            yield from ((row, one) for one in segmentation)
        else:
            flat = numbers(segmentation)
            said = "one list of numbers, not a list of polygons" if flat else "no list of lists"
            findings.annotation("polygon_malformed", position, said)
