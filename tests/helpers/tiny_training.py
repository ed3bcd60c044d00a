"""A training of a few iterations on the CPU, through the command's own parser."""

from nonlocal_det.cli import train
from nonlocal_det.cli.arguments import build_argument_parser

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"
TINY = [
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.STEPS", "()", "SOLVER.CHECKPOINT_PERIOD", "100"),
    *("INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64", "MODEL.DEVICE", "cpu"),
    *("TEST.EXPECTED_RESULTS", "[]", "SOLVER.BASE_LR", "0.001"),
]


def run(out, *arguments: str, iterations: int = 2, config: str = CONFIG):
    args = ["--config-file", config, *(a for a in arguments if a.startswith("--"))]
    args += ["OUTPUT_DIR", str(out), "SOLVER.MAX_ITER", str(iterations), *TINY]
    args += [a for a in arguments if not a.startswith("--")]
    return train.run(build_argument_parser().parse_args(args))
