"""Time and memory of one block against the peers, or of every kernel: ``make bench``.

Needs the peers for their rows: pip install mmcv-lite timm
"""

import argparse
from pathlib import Path

from nonlocal_det.analysis.benchmark import Case
from nonlocal_det.analysis.suite import run_suite, table
from nonlocal_det.analysis.sweep import Sweep, run_sweep, sweep_table
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.training.hardware import hardware, write_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the block against the peers.")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--repeats", type=int, default=5, help="passes timed in each process")
    parser.add_argument("--only", default="", help="run the rows whose name holds this")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    sweep = parser.add_argument_group("every kernel instead of the peers")
    sweep.add_argument("--sweep", action="store_true", help="kernels x functions x maps x dtypes")
    for name, default in (
        ("functions", Sweep.functions),
        ("kernels", Sweep.kernels),
        ("maps", Sweep.maps),
        ("dtypes", Sweep.dtypes),
        ("passes", Sweep.passes),
    ):
        sweep.add_argument(f"--{name}", nargs="+", default=default, help=", ".join(default))
    sweep.add_argument("--channels", type=int, default=Sweep.channels, help="C")
    return parser


if __name__ == "__main__":
    args = _parser().parse_args()
    with one_line_errors():
        if args.sweep:
            names = (args.functions, args.kernels, args.dtypes, args.maps, args.passes)
            rest = (args.channels, args.device, args.rounds, args.repeats)
            rows = run_sweep(Sweep(*names, *rest))
        else:
            rows = run_suite(args.rounds, args.repeats, args.only, args.device)
    where = hardware(args.device, Case.threads, ("torch", "mmcv-lite", "timm"))
    print(where)
    print(sweep_table(rows) if args.sweep else table(rows))
    if args.json:
        write_json(rows, args.json, where)
