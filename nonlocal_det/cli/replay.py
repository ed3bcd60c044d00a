"""Run a saved training step again: same config, weights, random numbers and precision.

Says which module goes wrong first. Exit status: 0 all finite now, 3 not, 1 the file cannot be used.

Example, after a step that cannot go well (train --config-file quick/nl_mask_keypoint_rcnn_R18
SOLVER.BASE_LR 1e6 SOLVER.WARMUP_ITERS 0 OUTPUT_DIR output/bad):
  %(prog)s output/bad/nonfinite/batch_0000001_process0.pth
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.training.step import describe_replay, replay

from .errors import one_line_errors

REPRODUCED = 3


def main(argv: Sequence[str] | None = None) -> None:
    """Print what the file says and what happens now; exit with 3 if it goes wrong again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="OUTPUT_DIR/nonfinite/batch_*.pth")
    parser.add_argument("--device", help="cpu or cuda; by default as it ran, where there is such")
    args = parser.parse_args(argv)
    with one_line_errors():
        result = replay(args.file, args.device)
    print(describe_replay(result))
    raise SystemExit(REPRODUCED if result.diagnosis is not None else 0)
