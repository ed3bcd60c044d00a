"""Find what is wrong with a data set before a training does: `check_dataset`, `KINDS`."""

from .check import Checked, check_dataset
from .cleaning import write_clean
from .findings import Example, Finding, Findings
from .image_files import READ_ERRORS
from .kinds import KINDS, Kind, kinds_table
from .report import report_json, report_text
from .splits import check_splits

__all__ = [
    "KINDS",
    "READ_ERRORS",
    "Checked",
    "Example",
    "Finding",
    "Findings",
    "Kind",
    "check_dataset",
    "check_splits",
    "kinds_table",
    "report_json",
    "report_text",
    "write_clean",
]
