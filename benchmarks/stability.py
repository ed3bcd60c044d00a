r"""Whether a model trains from scratch: its losses, and what each non-local block does, as json.

A network of full width on a few small pictures, so that minutes on a CPU show how wide a block's
scores are spread, how far its softmax is from one-hot (entropy 0), and how its gradient compares
with those of the layers around it (docs/stability.md). The last line is of the whole run.

OMP_NUM_THREADS=1 python benchmarks/stability.py --config-file nl_keypoint_rcnn_R50 \
    --coco-data few few.json images/ DATASETS.TRAIN "('few',)" SOLVER.BASE_LR 0.0025 SEED 1
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.solver import build_lr_scheduler, build_optimizer
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from nonlocal_det.cli.arguments import build_config_parser, config_from_arguments
from nonlocal_det.data import build_train_stream
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.training.step.block_watch import has_softmax, softmax_sums

SMALL = {
    "MODEL.WEIGHTS": "",
    "MODEL.RESNETS.NORM": "BN",
    "MODEL.BACKBONE.FREEZE_AT": "0",
    "INPUT.MIN_SIZE_TRAIN": "(128,)",
    "INPUT.MAX_SIZE_TRAIN": "213",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "12",
    "MODEL.ROI_BOX_HEAD.FC_DIM": "256",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "500",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "200",
    "SOLVER.IMS_PER_BATCH": "2",
    "SOLVER.MAX_ITER": "100",
    "SOLVER.STEPS": "()",
    "SOLVER.WARMUP_ITERS": "50",
    "SOLVER.CLIP_GRADIENTS.ENABLED": "True",
    "DATASETS.TEST": "()",
    "DATALOADER.NUM_WORKERS": "0",
}
"""From scratch, with few pixels and regions; options of the command line go before these."""

DIVERGED = 1e4
"""A total loss above it ends a run."""


def train(cfg: CfgNode, every: int = 25) -> Iterator[dict[str, Any]]:
    """Train; yield losses and blocks of every so many iterations, then the whole run's summary.

    Args:
        cfg: a full config.
        every: iterations between two descriptions; the last one is described too.
    """
    seed_all_rng(cfg.SEED)
    model = build_model(cfg).train()
    optimizer = build_optimizer(cfg, model)
    scheduler = build_lr_scheduler(cfg, optimizer)
    batches = iter(build_train_stream(cfg))
    history: list[dict[str, float]] = []
    end = "finite"
    with EventStorage(0):
        while end == "finite" and len(history) < cfg.SOLVER.MAX_ITER:
            watched = len(history) % every == 0 or len(history) == cfg.SOLVER.MAX_ITER - 1
            looks = _watch(model) if watched else {}
            losses = model(next(batches))
            total: Tensor = sum(losses.values())
            optimizer.zero_grad()
            total.backward()
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            if not (total.isfinite() and nn.utils.get_total_norm(gradients).isfinite()):
                end = "not finite"
            elif total > DIVERGED:
                end = "diverged"
            history.append({name: loss.item() for name, loss in losses.items()})
            if watched or end != "finite":
                blocks = _describe(model, looks)
                yield {"iteration": len(history) - 1, **history[-1], "blocks": blocks}
            optimizer.step()
            scheduler.step()
    final = history[-25:]
    yield {
        "end": end,
        "iterations": len(history),
        "last_25": {name: mean(losses[name] for losses in final) for name in final[0]},
    }


def _watch(model: nn.Module) -> dict[str, Tensor]:
    """Have the next call of each softmax block note its `softmax_sums`."""
    sums: dict[str, Tensor] = {}

    def note(name: str, block: nn.Module) -> None:
        def look(block: Any, args: tuple[Tensor, ...], z: Tensor) -> None:
            handle.remove()
            sums[name] = softmax_sums(block, args[0].detach())

        handle = block.register_forward_hook(look)

    for name, block in nonlocal_blocks(model).items():
        if has_softmax(block):
            note(name, block)
    return sums


def _describe(model: nn.Module, sums: Mapping[str, Tensor]) -> dict[str, Any]:
    """Describe each block: its softmax, its gradient, and those of the layers around it."""
    found = {}
    for name, block in nonlocal_blocks(model).items():
        parent, _, leaf = name.rpartition(".")
        siblings = [
            n for n, m in model.get_submodule(parent).named_children() if list(m.parameters())
        ]
        at = siblings.index(leaf)
        around = {"before": siblings[at - 1], "after": siblings[at + 1]}
        found[name] = {
            "gradient": _gradient(block),
            **{key: _gradient(model.get_submodule(f"{parent}.{n}")) for key, n in around.items()},
        }
        if name in sums:
            spread, entropy, one_hot, count = sums[name].tolist()
            shares = {"spread": spread, "entropy": entropy, "one_hot": one_hot}
            found[name] |= {key: value / max(count, 1) for key, value in shares.items()}
    return found


def _gradient(module: nn.Module) -> float:
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says and print a line of json for each description."""
    parser = build_config_parser(str(__doc__))
    parser.add_argument("--every", type=int, default=25, help="iterations between two lines")
    args = parser.parse_args(argv)
    args.opts = [word for pair in SMALL.items() for word in pair] + args.opts
    for line in train(config_from_arguments(args), args.every):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
