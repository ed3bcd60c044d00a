"""Report the findings, grouped by kind, the worst first: for people and for machines."""

from dataclasses import asdict
from typing import Any

from .check import Checked
from .findings import Finding
from .issue_types import SAME, SEVERITIES

TITLES = {
    "crash": "would stop the training",
    "corrupt": "would be learnt or measured wrongly",
    "harmless": "is dealt with",
}


def _ordered(checked: Checked) -> list[Finding]:
    findings = checked.findings.by_kind.values()
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.issue.severity), f.kind))


def report_text(checked: Checked, uses: frozenset[str], examples: int = 3) -> str:
    """Return the report for people.

    Args:
        checked: a data set.
        uses: see `IssueType.needs`.
        examples: shown of each kind.
    """
    read = f", {checked.num_read} images read" if checked.num_read else ""
    lines = [
        f"{checked.json_file}: {checked.num_images} images, "
        f"{checked.num_annotations} annotations{read}"
    ]
    severity = ""
    for finding in _ordered(checked):
        if finding.issue.severity != severity:
            severity = finding.issue.severity
            lines += ["", f"{severity}: {TITLES[severity]}"]
        lines += _lines(finding, uses, examples)
    stopping = checked.findings.stopping(uses)
    total = sum(finding.count for finding in stopping)
    verdict = f"{total} problems of {len(stopping)} kinds stop a training" if stopping else "usable"
    return "\n".join([*lines, "", f"{checked.json_file}: {verdict}"])


def _lines(finding: Finding, uses: frozenset[str], examples: int) -> list[str]:
    issue = finding.issue
    unused = issue.severity != "harmless" and not issue.stops(uses)
    here = f"not used: it matters with {issue.needs}" if unused else issue.training
    if not unused and issue.evaluation != SAME:
        here += f"; evaluation: {issue.evaluation}"
    lines = [f"  {finding.kind} x {finding.count}: {issue.meaning}", f"    here: {here}"]
    shown = finding.examples[:examples]
    lines += [f"    - {example}" for example in shown]
    if finding.count > len(shown) > 0:
        lines.append(f"    - ... and {finding.count - len(shown)} more")
    return lines


def report_json(checked: Checked, uses: frozenset[str]) -> dict[str, Any]:
    """Return the report for machines; `report_text` in plain json values."""
    return {
        "json_file": str(checked.json_file),
        "image_root": None if checked.image_root is None else str(checked.image_root),
        "images": checked.num_images,
        "annotations": checked.num_annotations,
        "images_read": checked.num_read,
        "stops": bool(checked.findings.stopping(uses)),
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.issue.severity,
                "stops": finding.issue.stops(uses),
                "count": finding.count,
                "meaning": finding.issue.meaning,
                "training": finding.issue.training,
                "evaluation": finding.issue.evaluation,
                "examples": [asdict(example) for example in finding.examples],
            }
            for finding in _ordered(checked)
        ],
    }
