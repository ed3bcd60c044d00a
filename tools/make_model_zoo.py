"""Compute what can be of zoo.json's rows and write model_zoo.md; --check fails if either is old."""

import argparse
import json
import sys
from pathlib import Path

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.model_zoo.costs import refreshed
from nonlocal_det.model_zoo.measured import with_results
from nonlocal_det.model_zoo.rows import ZOO, as_text, load_rows
from nonlocal_det.model_zoo.table import render

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--results", type=Path, help="results.json of a suite, for its rows")
    args = parser.parse_args()
    with one_line_errors():
        rows = load_rows()
        if args.results:
            rows = with_results(rows, json.loads(args.results.read_text()))
        rows = [refreshed(row) for row in rows]
    document = Path(__file__).resolve().parent.parent / "model_zoo.md"
    for path, text in ((ZOO, as_text(rows)), (document, render(rows))):
        if not args.check:
            path.write_text(text)
            print(f"wrote {path.name}")
        elif not path.is_file() or path.read_text() != text:
            sys.exit(f"{path.name} is not up to date; run `make zoo`")
