"""The computed fields of the zoo's rows: what a model costs, and which config that is of.

Apart from the rows, so that who only reads those need not import the analysis.
"""

from dataclasses import asdict

from nonlocal_det.analysis import Cost, Setting, detector_costs
from nonlocal_det.configs import load_config

from .rows import Row, config_sha256


def refreshed(row: Row) -> Row:
    """The row with its ``config_sha256`` and ``cost`` computed anew: on the CPU's kernels."""
    name = row["config"]
    report = detector_costs(load_config(name), name)
    cost = {
        "device": report.device,
        "setting": asdict(report.inference),
        "total": asdict(report.total),
        "nl_blocks": asdict(report.all_blocks),
    }
    return {**row, "config_sha256": config_sha256(name), "cost": cost}


def costs_of(row: Row) -> tuple[str, Setting, Cost, Cost]:
    """Name, setting, total cost and cost of the NL blocks, as a row holds them."""
    cost = row["cost"]
    return (
        row["config"],
        Setting(**cost["setting"]),
        Cost(**cost["total"]),
        Cost(**cost["nl_blocks"]),
    )
