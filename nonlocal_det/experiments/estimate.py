"""What a suite will cost: the commands, hours from measured iterations, disk for checkpoints."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from nonlocal_det.model_zoo.table import load_rows

from .datasets import missing_data
from .plan import Plan
from .processes import shell_line
from .progress import seconds_per_iteration
from .runner import Runner


def describe(plan: Plan, runner: Runner) -> str:
    """The dry run: every run with its status and command, hours and disk of the whole.

    Args:
        plan: its folders are read, nothing is written.
        runner: knows the commands.
    """
    lines = []
    for number, run in enumerate(plan.runs, 1):
        slot = runner.slots[(number - 1) % len(runner.slots)]
        lines.append(f"# run {number} of {len(plan.runs)}: {run.name}, {run.status()}")
        lines.append(shell_line(runner.command(run), runner.variables(slot)))
    lines += ["", f"# hours: {_hours(plan, runner)}", f"# disk: {_disk(plan)}"]
    if message := missing_data(plan):
        lines.append("\n".join(f"# {line}" for line in message.splitlines()))
    return "\n".join(lines)


def _hours(plan: Plan, runner: Runner) -> str:
    """Hours of training times GPUs, of the runs that have not finished."""
    measured = {**_from_zoo(plan), **seconds_per_iteration(plan)}
    waiting = [run for run in plan.runs if run.status() != "finished"]
    unknown = sorted({run.config for run in waiting} - measured.keys())
    if unknown:
        return f"- (no s/iter has been measured for {', '.join(unknown)})"
    seconds = sum(run.iterations * measured[run.config] for run in waiting)
    used = ", ".join(f"{name} {measured[name]:.3f} s/iter" for name in plan.configs)
    hours, at_a_time = seconds / 3600, len(runner.slots)
    together = f", {hours / at_a_time:.1f} with {at_a_time} runs at a time" * (at_a_time > 1)
    return f"{hours * runner.gpus_per_run:.1f} GPU hours{together} (iterations x {used})"


def _from_zoo(plan: Plan) -> dict[str, float]:
    """Seconds an iteration from the zoo's measured rows, which may have none."""
    found = {}
    for row in load_rows():
        seconds = (row.get("measured") or {}).get("s_per_iter") or row.get("s_per_iter")
        if row["config"] in plan.configs and seconds:
            found[row["config"]] = float(seconds)
    return found


def _disk(plan: Plan) -> str:
    total = sum(
        checkpoint_bytes(cfg) * checkpoint_count(cfg) * len(plan.seeds)
        for cfg in plan.configs.values()
    ) * max(1, len(plan.grid))
    return (
        f"at most {total / 2**30:.1f} GiB (each run keeps a checkpoint of weights and momentum "
        "every SOLVER.CHECKPOINT_PERIOD iterations, and the final one)"
    )


def checkpoint_count(cfg: CfgNode) -> int:
    """The checkpoints that a run keeps: one each period, and ``model_final.pth``."""
    return int(cfg.SOLVER.MAX_ITER // cfg.SOLVER.CHECKPOINT_PERIOD) + 1


def checkpoint_bytes(cfg: CfgNode) -> int:
    """The size of a checkpoint: all weights, and SGD's momentum of those that are trained."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    momentum = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return int(weights + momentum)
