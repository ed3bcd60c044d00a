"""Find what is wrong with a data set before a training does: `check_dataset`, `ISSUE_TYPES`."""

from .boxes import SLACK, is_area_possible
from .check import Checked, check_dataset, check_rows
from .clean import write_clean
from .findings import Example, Finding, Findings
from .image_files import IMAGES, READ_ERRORS, Images
from .issue_types import ISSUE_TYPES, IssueType, issue_table
from .masks import is_polygon
from .report import report_json, report_text
from .splits import check_splits

__all__ = [
    "IMAGES",
    "ISSUE_TYPES",
    "READ_ERRORS",
    "SLACK",
    "Checked",
    "Example",
    "Finding",
    "Findings",
    "Images",
    "IssueType",
    "check_dataset",
    "check_rows",
    "check_splits",
    "is_area_possible",
    "is_polygon",
    "issue_table",
    "report_json",
    "report_text",
    "write_clean",
]
