"""Results compare when commit, config and data are equal: what differs is refused by name."""

from nonlocal_det.training.provenance import commit, data_hashes

from .plan import Plan
from .run import Json, Run


def current_origin(plan: Plan, run: Run) -> Json:
    """Return commit, config hash and data hashes of a run that would start now."""
    cfg = plan.configs[run.config]
    data = data_hashes((*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST))
    return {"commit": commit(), "config_hash": run.config_hash, "data": data}


def find_mixed(plan: Plan, *, training: bool) -> list[str]:
    """List what is of another commit, config or data set, a line each; empty when all agree.

    Configs are compared with the plan's. Commit and data must be those of now when something is to
    be trained, else those of the first finished run: newer code may report on an old table.
    """
    origins = [(run, file, origin) for run in plan.runs for file, origin in _origins(run)]
    if training and any(run.status() != "finished" for run in plan.runs):
        wanted: Json = {"commit": commit(), "data": data_hashes(plan.datasets)}
    else:
        data: dict[str, str] = {}
        for _, _, origin in origins:
            data = {**origin["data"], **data}  # the first to name it counts
        wanted = {"commit": origins[0][2]["commit"] if origins else "-", "data": data}
    return [
        f"{file}: {difference}"
        for run, file, origin in origins
        for difference in _differences(origin, {**wanted, "config_hash": run.config_hash})
    ]


def _origins(run: Run) -> list[tuple[str, Json]]:
    """Where the run's weights and numbers come from: each start that left something, the result."""
    result = run.result()
    origins = [(str(run.folder / "result.json"), result)] if result else []
    if result or run.has_checkpoint():
        origins += [(str(run.folder / "run.json"), start) for start in run.starts()]
    return origins


def _differences(origin: Json, wanted: Json) -> list[str]:
    lines = [
        f"{what} {origin[key]}, not {wanted[key]}"
        for key, what in (("commit", "commit"), ("config_hash", "config"))
        if origin[key] != wanted[key]
    ]
    for name in sorted(origin["data"].keys() & wanted["data"].keys()):
        recorded, expected = origin["data"][name], wanted["data"][name]
        if "-" not in (recorded, expected) and recorded != expected:
            lines.append(f"data set {name} {recorded[:12]}, not {expected[:12]}")
    return lines
