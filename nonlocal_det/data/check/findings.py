"""Where the checks write down what they find: counts, the first examples, what to leave out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .kinds import KINDS, Kind

MAX_EXAMPLES = 20


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
        """One line of the report."""
        where = [self.file]
        if self.image_id is not None:
            where.append(f"image {self.image_id}")
        if self.annotation_id is not None:
            where.append(f"annotation {self.annotation_id}")
        return f"{', '.join(where)}: {self.detail}"


@dataclass
class Finding:
    """All occurrences of one kind in one data set.

    Attributes:
        kind: the key of `KINDS`.
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


class Findings:
    """Collects what is wrong with one annotation file and its images.

    Args:
        json_file: the file.
    """

    def __init__(self, json_file: Path) -> None:
        self.json_file = json_file
        self.by_kind: dict[str, Finding] = {}
        self.images: list[Any] = []
        self.annotations: list[Any] = []
        self._names: dict[Any, str] | None = None

    def use(self, images: list[Any], annotations: list[Any]) -> None:
        """Say to which records the positions of `image` and `annotation` refer."""
        self.images, self.annotations = images, annotations

    def file(self, kind: str, detail: str) -> None:
        """Note something about the file as a whole."""
        self._note(kind, lambda: Example(str(self.json_file), None, None, detail))

    def image(self, kind: str, position: int, detail: str) -> None:
        """Note something about the image at this position of the json's "images"."""
        self._note(kind, lambda: self._of_image(position, detail)).images.add(int(position))

    def annotation(self, kind: str, position: int, detail: str) -> None:
        """Note something about the annotation at this position of the json's "annotations"."""
        finding = self._note(kind, lambda: self._of_annotation(position, detail))
        finding.annotations.add(int(position))

    def every(self, kind: str, positions: Iterable[int], detail: Callable[[Any], str]) -> None:
        """Note the annotations at these positions; an annotation goes into `detail`, if shown."""
        for position in positions:
            finding = self.by_kind.get(kind)
            text = ""
            if finding is None or len(finding.examples) < MAX_EXAMPLES:
                text = detail(self.annotations[position])
            self.annotation(kind, position, text)

    def stopping(self, uses: frozenset[str]) -> list[Finding]:
        """The findings for which a training that uses these parts must not start."""
        return [one for one in self.by_kind.values() if self.kind(one).stops(uses)]

    @staticmethod
    def kind(finding: Finding) -> Kind:
        """The row of the table that a finding belongs to."""
        return KINDS[finding.kind]

    def _note(self, kind: str, example: Callable[[], Example]) -> Finding:
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}; expected one of {', '.join(KINDS)}")
        finding = self.by_kind.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < MAX_EXAMPLES:
            finding.examples.append(example())
        return finding

    def _of_image(self, position: int, detail: str) -> Example:
        image = self.images[position]
        image = image if isinstance(image, dict) else {}
        name = image.get("file_name", f"images[{position}]")
        return Example(str(name), image.get("id"), None, detail)

    def _of_annotation(self, position: int, detail: str) -> Example:
        annotation = self.annotations[position]
        if not isinstance(annotation, dict):
            return Example(f"annotations[{position}]", None, None, detail)
        if self._names is None:
            self._names = {
                one["id"]: str(one.get("file_name", ""))
                for one in self.images
                if isinstance(one, dict) and isinstance(one.get("id"), int | str)
            }
        image_id = annotation.get("image_id")
        known = isinstance(image_id, int | str)
        name = self._names.get(image_id, "no such image") if known else "no such image"
        number = annotation.get("id", f"at position {position}")
        return Example(name, image_id, number, detail)
