"""How far the runs are, and what the rest will cost: hours from measured iterations, and disk."""

import json
from collections import defaultdict
from datetime import timedelta
from statistics import fmean

from detectron2.config import CfgNode

from nonlocal_det.analysis import build_on_meta
from nonlocal_det.model_zoo.rows import load_rows

from .datasets import missing_data
from .plan import Plan
from .resources import Resources
from .run import Run, last_lines


def describe(plan: Plan, resources: Resources) -> str:
    """Describe every run with its status and command, hours and disk of the whole."""
    lines = []
    for number, run in enumerate(plan.runs):
        slot = resources.slots[number % len(resources.slots)]
        lines.append(f"# run {number + 1} of {len(plan.runs)}: {run.name}, {run.status()}")
        lines.append(resources.shell_line(resources.command(run), slot))
    lines += ["", f"# hours: {_hours(plan, resources)}", f"# disk: {_disk(plan)}"]
    lines += [f"# {line}" for line in missing_data(plan).splitlines()]
    return "\n".join(lines)


def _hours(plan: Plan, resources: Resources) -> str:
    """Hours of training times GPUs, of the runs that have not finished."""
    zoo = {row["config"]: (row["measured"] or {}).get("s_per_iter") for row in load_rows()}
    measured = {name: seconds for name in plan.configs if (seconds := zoo.get(name))}
    measured |= seconds_per_iteration(plan)
    waiting = [run for run in plan.runs if run.status() != "finished"]
    unknown = sorted({run.config for run in waiting} - measured.keys())
    if unknown:
        return (
            f"- (no s/iter has been measured for {', '.join(unknown)}; once a run of each has "
            "begun, this counts from its iterations)"
        )
    hours = sum(run.iterations * measured[run.config] for run in waiting) / 3600
    used = ", ".join(f"{name} {measured[name]:.3f} s/iter" for name in plan.configs)
    at_a_time = len(resources.slots)
    together = f", {hours / at_a_time:.1f} with {at_a_time} runs at a time" * (at_a_time > 1)
    return f"{hours * resources.gpus_per_run:.1f} GPU hours{together} (iterations x {used})"


def _disk(plan: Plan) -> str:
    sizes = [checkpoint_bytes(cfg) * checkpoint_count(cfg) for cfg in plan.configs.values()]
    total = sum(sizes) * (len(plan.runs) // len(plan.configs))
    return (
        f"at most {total / 2**30:.1f} GiB (each run keeps a checkpoint of weights and momentum "
        "every SOLVER.CHECKPOINT_PERIOD iterations, and the final one)"
    )


def checkpoint_count(cfg: CfgNode) -> int:
    """Count the checkpoints that a run keeps: one each period, and ``model_final.pth``."""
    return int(cfg.SOLVER.MAX_ITER // cfg.SOLVER.CHECKPOINT_PERIOD) + 1


def checkpoint_bytes(cfg: CfgNode) -> int:
    """Compute a checkpoint's size: all weights, and SGD's momentum of those that are trained."""
    model = build_on_meta(cfg)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    momentum = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return int(weights + momentum)


def last_metrics(run: Run) -> tuple[int, float | None]:
    """Read iterations done and seconds for one from the end of Detectron2's ``metrics.json``."""
    lines = last_lines(run.folder / "metrics.json")
    for line in reversed(lines[:-1]):  # after the last newline is a line that is not yet whole
        if line.startswith("{") and line.endswith("}") and '"iteration"' in line:
            content = json.loads(line)
            return content["iteration"] + 1, content.get("time")
    return 0, None


def seconds_per_iteration(plan: Plan) -> dict[str, float]:
    """Average the measured seconds by config: of its finished runs, else of those under way."""
    finished, running = defaultdict(list), defaultdict(list)
    for run in plan.runs:
        result = run.result()
        if result and result["s_per_iter"]:
            finished[run.config].append(result["s_per_iter"])
        elif not result and (seconds := last_metrics(run)[1]):
            running[run.config].append(seconds)
    return {name: fmean(values) for name, values in {**running, **finished}.items()}


def progress_line(plan: Plan, at_a_time: int = 1) -> str:
    """Say how many runs are finished, where the running ones are, and the time left.

    A model that has not been measured counts as the mean of those that have; what a failed or
    interrupted run need not do again is at most what it has logged.
    """
    measured = seconds_per_iteration(plan)
    parts, finished, seconds = [], 0, 0.0
    for run in plan.runs:
        status = run.status()
        if status == "finished":
            finished += 1
            continue
        keeps_progress = status == "running" or run.has_checkpoint()
        done = last_metrics(run)[0] if keeps_progress else 0
        if status == "running":
            parts.append(f"{run.name} at iteration {done} of {run.iterations}")
        if measured:
            typical = measured.get(run.config, fmean(measured.values()))
            seconds += max(0, run.iterations - done) * typical
    left = f"about {timedelta(seconds=round(seconds / at_a_time))} of training left"
    parts.append(left if measured else "time left: -")
    return "; ".join([f"{finished} of {len(plan.runs)} runs finished", *parts])
