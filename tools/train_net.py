"""Train and evaluate: ``train_net.py --config-file configs/nl_mask_rcnn_R101.yaml``."""

from nonlocal_det.cli import one_line_errors
from nonlocal_det.engine import build_argument_parser, launch, main

if __name__ == "__main__":
    args = build_argument_parser().parse_args()
    with one_line_errors():
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )
