"""How far the runs are and how long the rest takes, by the seconds an iteration has taken here."""

import json
import statistics
from datetime import timedelta

from .plan import Plan
from .record import Run

_TAIL = 1 << 16  # bytes; a line of metrics.json has about 1 KiB


def last_metrics(run: Run) -> tuple[int, float | None]:
    """Iterations done and seconds for one, from the end of Detectron2's ``metrics.json``."""
    path = run.folder / "metrics.json"
    if not path.is_file():
        return 0, None
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    for line in reversed(lines[:-1]):  # after the last newline is a line that is not yet whole
        if line.startswith("{") and line.endswith("}") and '"iteration"' in line:
            content = json.loads(line)
            return content["iteration"] + 1, content.get("time")
    return 0, None


def seconds_per_iteration(plan: Plan) -> dict[str, float]:
    """Measured seconds by config: the mean of its finished runs, else of those under way."""
    finished: dict[str, list[float]] = {}
    running: dict[str, list[float]] = {}
    for run in plan.runs:
        result = run.result()
        if result and result["s_per_iter"]:
            finished.setdefault(run.config, []).append(result["s_per_iter"])
        elif not result and (seconds := last_metrics(run)[1]):
            running.setdefault(run.config, []).append(seconds)
    return {name: statistics.fmean(values) for name, values in {**running, **finished}.items()}


def time_left(plan: Plan, at_a_time: int = 1) -> timedelta | None:
    """The training time of what is not finished; None before anything was measured.

    A model that has not been measured counts as the mean of those that have.

    Args:
        plan: its folders are read.
        at_a_time: runs that go on at the same time.
    """
    measured = seconds_per_iteration(plan)
    if not measured:
        return None
    typical = statistics.fmean(measured.values())
    seconds = sum(
        max(0, run.iterations - _done(run)) * measured.get(run.config, typical)
        for run in plan.runs
        if run.status() != "finished"
    )
    return timedelta(seconds=round(seconds / at_a_time))


def _done(run: Run) -> int:
    """What a failed or interrupted run need not do again is at most this."""
    return last_metrics(run)[0] if run.has_checkpoint() or run.status() == "running" else 0


def progress_line(plan: Plan, at_a_time: int = 1) -> str:
    """Runs finished, where the running ones are, time left."""
    statuses = {run.name: run.status() for run in plan.runs}
    done = sum(status == "finished" for status in statuses.values())
    parts = [f"{done} of {len(plan.runs)} runs finished"]
    for run in plan.runs:
        if statuses[run.name] == "running":
            parts.append(f"{run.name} at iteration {last_metrics(run)[0]} of {run.iterations}")
    left = time_left(plan, at_a_time)
    parts.append(f"about {left} of training left" if left is not None else "time left: -")
    return "; ".join(parts)
