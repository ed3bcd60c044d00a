"""Time and memory of a detector against its twin, in training and inference.

benchmark_model.py --config-file nl_mask_rcnn_R50 --against mask_rcnn_R50
"""

import argparse
from pathlib import Path

from nonlocal_det.analysis.model_benchmark import ModelCase, compare_models
from nonlocal_det.analysis.suite import Row, table
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.configs import load_config
from nonlocal_det.training.hardware import hardware, write_json

PASSES = ("inference", "training")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a detector against its twin.")
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a path, or a name")
    parser.add_argument("--against", required=True, metavar="TWIN", help="a path, or a name")
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1344), metavar=("H", "W"))
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--repeats", type=int, default=5, help="passes timed in each process")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--twin-opt", nargs=2, action="append", default=[], help="the twin's alone")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs, for both")
    args = parser.parse_args()
    with one_line_errors():
        model = load_config(args.config_file, args.opts)
        twin = load_config(args.against, [*args.opts, *sum(args.twin_opt, [])])
        counts = {"size": tuple(args.size), "rounds": args.rounds, "repeats": args.repeats}
        rows: list[Row] = [
            {
                "name": f"{Path(args.config_file).stem} {name}",
                "against": Path(args.against).stem,
                **compare_models(model, twin, training=name == "training", **counts),
            }
            for name in args.passes
        ]
    where = hardware(model.MODEL.DEVICE, ModelCase.threads, ("torch", "detectron2"))
    print(where)
    print(table(rows, "batch 1"))
    if args.json:
        write_json(rows, args.json, where)
