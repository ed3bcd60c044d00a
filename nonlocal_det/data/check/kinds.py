"""What can be wrong with a data set: one table for the checks, the report and the docs.

`detectron2` is what Detectron2 does when nobody checks; the tests run it on each kind.
"""

from dataclasses import dataclass
from typing import Literal

from .kinds_of_annotations import ANNOTATIONS, BOXES, KEYPOINTS, SEGMENTATIONS
from .kinds_of_files import CATEGORIES, FILES, IMAGE_FILES, IMAGES, SPLITS

Severity = Literal["crash", "corrupt", "harmless"]
STOPPING = ("crash", "corrupt")


@dataclass(frozen=True)
class Kind:
    """One kind of problem.

    Attributes:
        name: in the report, and for machines.
        severity: "crash" (training stops), "corrupt" (it learns or measures something wrong),
            "harmless" (said, nothing else).
        detectron2: what Detectron2 alone does with it.
        meaning: what is the matter.
        training: what our training does with it: the cure is part of it.
        needs: what the data must be used for, for it to matter: "", "masks", "polygons" (masks with
            INPUT.MASK_FORMAT polygon), "keypoints", "raw keypoints" (of a data set that was not
            registered by `register_coco_data`, which completes them) or "evaluation".
    """

    name: str
    severity: Severity
    detectron2: str
    meaning: str
    training: str
    needs: str = ""

    def stops(self, uses: frozenset[str]) -> bool:
        """Whether a training that uses these parts of the data must not start."""
        return self.severity in STOPPING and (not self.needs or self.needs in uses)


_ROWS = (
    *(FILES, CATEGORIES, IMAGES, IMAGE_FILES),
    *(ANNOTATIONS, BOXES, SEGMENTATIONS, KEYPOINTS, SPLITS),
)
KINDS: dict[str, Kind] = {row[0]: Kind(*row) for rows in _ROWS for row in rows}  # type: ignore[arg-type]


def kinds_table() -> str:
    """All kinds as a Markdown table."""
    lines = [
        "| kind | severity | Detectron2 alone | what it is | here |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS.values():
        matters = f" (with {kind.needs})" if kind.needs else ""
        cells = (f"`{kind.name}`", f"{kind.severity}{matters}", kind.detectron2)
        lines.append(f"| {' | '.join((*cells, kind.meaning, kind.training))} |")
    return "\n".join(lines)
