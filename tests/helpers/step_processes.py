"""Two processes on the CPU take steps together; each writes what it saw to FOLDER/<rank>.json."""

import json
import math
from pathlib import Path

import torch
from detectron2.utils import comm
from tiny_step import Root, Run, images, tiny_net
from torch.nn.parallel import DistributedDataParallel

from nonlocal_det.training.step import NonFiniteError


def shares(count: int) -> list[list[dict]]:
    """Each process's half of batches of 4 images."""
    rank = comm.get_rank()
    return [images(4, seed)[2 * rank : 2 * rank + 2] for seed in range(count)]


def distributed(folder: Path, data: list[list[dict]], **options: int) -> Run:
    return Run(folder, data, DistributedDataParallel(tiny_net()), **options)


def numbers(run: Run) -> list[float]:
    state = run.model.module.state_dict()
    return torch.cat([value.flatten().double() for value in state.values()]).tolist()


def stopped(run: Run, count: int) -> str:
    try:
        run.steps(count)
    except NonFiniteError as error:
        return str(error)
    return ""


def parts(folder: Path) -> dict:
    run = distributed(folder, shares(3), accumulate=2)
    reductions = []

    def counting(_, bucket):
        reductions.append(bucket.index())
        future = torch.distributed.all_reduce(bucket.buffer(), async_op=True).get_future()
        return future.then(lambda done: done.value()[0] / comm.get_world_size())

    run.model.register_comm_hook(None, counting)
    run.steps(3)
    losses = [one["total_loss"] for one in run.history if "total_loss" in one]
    return {"weights": numbers(run), "reductions": reductions.count(0), "losses": losses}


def one_loss_is_nan(folder: Path) -> dict:
    """In process 1, in the second step and in the last; the ones between are taken."""
    data = shares(4)
    if comm.get_rank() == 1:
        for step in (1, 3):
            data[step][0]["image"] *= 3e38
    run = distributed(folder, data, skip=1)
    weights = []
    for _ in range(3):
        run.steps(1)
        weights.append(numbers(run))
    return {"weights": weights, "said": stopped(run, 1), "skipped": run.guard.skipped}


def one_model_refuses(folder: Path) -> dict:
    """In process 0, as Detectron2's RPN does: the other one must not wait for its gradients."""
    run = distributed(folder, shares(2))

    def refuse(*_: object) -> None:
        if comm.get_rank() == 0 and run.trainer.iter == 1:
            raise FloatingPointError("Predicted boxes or scores contain Inf/NaN.")

    run.model.module.head.register_forward_pre_hook(refuse)
    return {"said": stopped(run, 2), "weights": numbers(run)}


def one_gradient_is_infinite(folder: Path) -> dict:
    run = distributed(folder, shares(1))
    run.model.module.root = Root()
    run.model.module.neck.broken = 0.0 if comm.get_rank() == 1 else 1.0
    return {"said": stopped(run, 1), "finite": math.isfinite(sum(numbers(run)))}


def main(folder: str) -> None:
    seen = {}
    for scenario in (parts, one_loss_is_nan, one_model_refuses, one_gradient_is_infinite):
        seen[scenario.__name__] = scenario(Path(folder) / scenario.__name__)
    (Path(folder) / f"{comm.get_rank()}.json").write_text(json.dumps(seen))
