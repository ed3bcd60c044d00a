"""Compute what can be of zoo.json's rows, write model_zoo.md and the tables of drawn data in docs/.

With --check nothing is written, and it fails if one of them is not up to date.
"""

import argparse
import json
import sys
from pathlib import Path

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.experiments.zoo_rows import refresh_row, with_results
from nonlocal_det.experiments.zoo_tables import fill_tables, render_zoo
from nonlocal_det.model_zoo.rows import DRAWN, ZOO, load_rows, rows_as_text

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--results", type=Path, help="results.json of a suite, for its rows")
    args = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    with one_line_errors():
        rows = load_rows()
        if args.results:
            rows = with_results(rows, json.loads(args.results.read_text()))
        rows = [refresh_row(row) for row in rows]
        texts = {
            ZOO: rows_as_text(rows),
            root / "model_zoo.md": render_zoo(rows),
        }
        for data in DRAWN:
            document = root / data.document
            texts[document] = fill_tables(document.read_text(), rows, data)
    for path, text in texts.items():
        if not args.check:
            path.write_text(text)
            print(f"wrote {path.name}")
        elif not path.is_file() or path.read_text() != text:
            sys.exit(f"{path.name} is not up to date; run `make zoo`")
