"""Time and memory of one block against the peers: ``make bench``.

Needs the peers for their rows: pip install mmcv-lite timm
"""

import argparse
from pathlib import Path

from nonlocal_det.analysis.suite import hardware, run_suite, table, write_json
from nonlocal_det.cli import one_line_errors

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the block against the peers.")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of each pair")
    parser.add_argument("--repeats", type=int, default=5, help="passes timed in each process")
    parser.add_argument("--only", default="", help="run the rows whose name holds this")
    parser.add_argument("--json", type=Path, help="also write the results here")
    args = parser.parse_args()
    with one_line_errors():
        rows = run_suite(rounds=args.rounds, repeats=args.repeats, only=args.only)
    print(hardware())
    print(table(rows))
    if args.json:
        write_json(rows, args.json)
