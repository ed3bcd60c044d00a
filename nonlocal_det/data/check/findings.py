"""Collect what is wrong with a data set: counts, the first examples, what to leave out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .issue_types import ISSUE_TYPES, IssueType

MAX_EXAMPLES = 20
Detail = str | Callable[[Any], str]
"""What is there, or a function that says it of an annotation."""


@dataclass(frozen=True)
class Example:
    """One occurrence.

    Attributes:
        file: the image's file name, or the json file.
        image_id: of the json; None where no image is concerned.
        annotation_id: of the json; None where no annotation is concerned.
        detail: what is there.
    """

    file: str
    image_id: Any
    annotation_id: Any
    detail: str

    def __str__(self) -> str:
        """Return one line of the report."""
        image = "" if self.image_id is None else f", image {self.image_id}"
        annotation = "" if self.annotation_id is None else f", annotation {self.annotation_id}"
        return f"{self.file}{image}{annotation}: {self.detail}"


@dataclass
class Finding:
    """All occurrences of one kind of issue in one data set.

    Attributes:
        kind: the key of `ISSUE_TYPES`.
        count: occurrences.
        examples: the first `MAX_EXAMPLES`.
        images: positions in the json's "images".
        annotations: positions in the json's "annotations".
    """

    kind: str
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    images: set[int] = field(default_factory=set)
    annotations: set[int] = field(default_factory=set)

    @property
    def issue(self) -> IssueType:
        """The row of the table that the finding belongs to."""
        return ISSUE_TYPES[self.kind]


class Findings:
    """Collects what is wrong with one annotation file and its images.

    Args:
        json_file: the file.
        content: the json; None where there is none.

    Attributes:
        by_kind: a `Finding` of each kind of issue that occurs.
    """

    def __init__(self, json_file: Path, content: dict[str, Any] | None = None) -> None:
        self.json_file = json_file
        self.content = content or {"images": [], "annotations": []}
        self.by_kind: dict[str, Finding] = {}
        self._names: dict[Any, str] | None = None

    def file(self, kind: str, detail: str) -> None:
        """Note an issue of the file as a whole."""
        self._count(kind, lambda: Example(str(self.json_file), None, None, detail))

    def image(self, kind: str, position: int, detail: str) -> None:
        """Note an issue of the image at this position of the json's "images"."""
        self._count(kind, lambda: self._of_image(position, detail)).images.add(position)

    def annotation(self, kind: str, position: int, detail: Detail) -> None:
        """Note an issue of the annotation at this position of the json's "annotations"."""
        finding = self._count(kind, lambda: self._of_annotation(position, detail))
        finding.annotations.add(position)

    def annotations(self, kind: str, positions: Iterable[int], detail: Detail) -> None:
        """Note an issue of several annotations."""
        for position in map(int, positions):
            self.annotation(kind, position, detail)

    def wrong_annotations(self, kind: str) -> list[int]:
        """Return the positions of the annotations that have this kind of issue."""
        return sorted(self.by_kind[kind].annotations) if kind in self.by_kind else []

    def stopping(self, uses: frozenset[str]) -> list[Finding]:
        """Return the findings for which a training that uses these parts must not start."""
        return [finding for finding in self.by_kind.values() if finding.issue.stops(uses)]

    def _count(self, kind: str, example: Callable[[], Example]) -> Finding:
        if kind not in ISSUE_TYPES:
            raise ValueError(f"kind={kind!r}; expected one of {', '.join(ISSUE_TYPES)}")
        finding = self.by_kind.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < MAX_EXAMPLES:
            finding.examples.append(example())
        return finding

    def _of_image(self, position: int, detail: str) -> Example:
        image = self.content["images"][position]
        image = image if isinstance(image, dict) else {}
        name = image.get("file_name", f"images[{position}]")
        return Example(str(name), image.get("id"), None, detail)

    def _of_annotation(self, position: int, detail: Detail) -> Example:
        annotation = self.content["annotations"][position]
        text = detail if isinstance(detail, str) else detail(annotation)
        if not isinstance(annotation, dict):
            return Example(f"annotations[{position}]", None, None, text)
        if self._names is None:
            self._names = {
                image["id"]: str(image.get("file_name", ""))
                for image in self.content["images"]
                if isinstance(image, dict) and isinstance(image.get("id"), int | str)
            }
        image_id = annotation.get("image_id")
        hashable = isinstance(image_id, int | str)
        name = self._names.get(image_id, "no such image") if hashable else "no such image"
        number = annotation.get("id", f"at position {position}")
        return Example(name, image_id, number, text)
