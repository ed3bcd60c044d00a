"""Write the weights of a checkpoint as .safetensors or .pth: convert_weights.py SOURCE TARGET."""

import argparse
from pathlib import Path

from nonlocal_det.checkpoint import convert_weights
from nonlocal_det.cli import one_line_errors


def main() -> None:
    """Parse the command line, convert and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a .pth, .pkl, .pyth or .safetensors file")
    parser.add_argument("target", type=Path, help="a .safetensors or .pth file")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load the source by executing it: whoever made it can do on this machine what you can",
    )
    args = parser.parse_args()
    with one_line_errors():
        count = convert_weights(args.source, args.target, trust=args.trust_checkpoint)
    print(f"{args.target}: {count} tensors of {args.source}")


if __name__ == "__main__":
    main()
