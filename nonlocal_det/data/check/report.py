"""Say what was found: grouped by kind, the worst first, for people and for machines."""

from typing import Any

from .check import Checked
from .findings import Finding

ORDER = ("crash", "corrupt", "harmless")
TITLES = {
    "crash": "would stop the training",
    "corrupt": "would be learnt or measured wrongly",
    "harmless": "is dealt with",
}


def _ordered(checked: Checked) -> list[Finding]:
    findings = checked.findings.by_kind.values()
    return sorted(findings, key=lambda f: (ORDER.index(checked.findings.kind(f).severity), f.kind))


def report_text(checked: Checked, uses: frozenset[str], examples: int = 3) -> str:
    """The report for people.

    Args:
        checked: a data set.
        uses: see `Kind.needs`.
        examples: shown of each kind.
    """
    read = f", {checked.num_read} images read" if checked.num_read else ""
    lines = [
        f"{checked.json_file}: {checked.num_images} images, "
        f"{checked.num_annotations} annotations{read}"
    ]
    for severity in ORDER:
        group = [f for f in _ordered(checked) if checked.findings.kind(f).severity == severity]
        if group:
            lines += ["", f"{severity}: {TITLES[severity]}"]
        for finding in group:
            lines += _lines(checked, finding, uses, examples)
    stopping = checked.findings.stopping(uses)
    total = sum(finding.count for finding in stopping)
    said = f"{total} problems of {len(stopping)} kinds stop a training" if stopping else "usable"
    return "\n".join([*lines, "", f"{checked.json_file}: {said}"])


def _lines(checked: Checked, finding: Finding, uses: frozenset[str], examples: int) -> list[str]:
    kind = checked.findings.kind(finding)
    unused = kind.needs and kind.needs not in uses and kind.severity != "harmless"
    here = f"not used: it matters with {kind.needs}" if unused else kind.training
    lines = [f"  {finding.kind} x {finding.count}: {kind.meaning}", f"    here: {here}"]
    shown = finding.examples[:examples]
    lines += [f"    - {example}" for example in shown]
    if finding.count > len(shown) > 0:
        lines.append(f"    - ... and {finding.count - len(shown)} more")
    return lines


def report_json(checked: Checked, uses: frozenset[str]) -> dict[str, Any]:
    """The report for machines; `report_text` in plain json values."""
    stopping = {finding.kind for finding in checked.findings.stopping(uses)}
    return {
        "json_file": str(checked.json_file),
        "image_root": None if checked.image_root is None else str(checked.image_root),
        "images": checked.num_images,
        "annotations": checked.num_annotations,
        "images_read": checked.num_read,
        "stops": bool(stopping),
        "findings": [
            {
                "kind": finding.kind,
                "severity": checked.findings.kind(finding).severity,
                "stops": finding.kind in stopping,
                "count": finding.count,
                "meaning": checked.findings.kind(finding).meaning,
                "training": checked.findings.kind(finding).training,
                "examples": [
                    {
                        "file": example.file,
                        "image_id": example.image_id,
                        "annotation_id": example.annotation_id,
                        "detail": example.detail,
                    }
                    for example in finding.examples
                ],
            }
            for finding in _ordered(checked)
        ],
    }
