"""Write model_zoo.md from the zoo's data; with --check, fail if it is not up to date."""

import argparse
import sys
from pathlib import Path

from nonlocal_det.model_zoo.table import load_rows, render

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    path = Path(__file__).resolve().parent.parent / "model_zoo.md"
    text = render(load_rows())
    if not args.check:
        path.write_text(text)
        print(f"wrote {path.name}")
    elif not path.is_file() or path.read_text() != text:
        sys.exit("model_zoo.md is not up to date; run `make zoo`")
