"""Make a drawn data set OUT/long_range/NAME whose objects are told by what is far away.

Examples:
  %(prog)s beacon datasets
  %(prog)s beacon output/wide --width 1344 --height 256 --object-size 48
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.experiments.datasets import field_of_config
from nonlocal_det.synthetic.long_range import DATA_SETS, find_set, make_long_range

from .errors import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, make the data set and print where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help=", ".join(DATA_SETS))
    parser.add_argument("out", type=Path, help="folder of all data sets, e.g. datasets")
    parser.add_argument(
        "--config-file",
        help="whose backbone's receptive field is the unit of the annotated distances; by default "
        "the data set's own",
    )
    parser.add_argument(
        "--train", dest="num_train", type=int, help="training images; by default the data set's own"
    )
    parser.add_argument(
        "--val", dest="num_val", type=int, default=100, help="to choose learning rates on"
    )
    parser.add_argument(
        "--test", dest="num_test", type=int, help="to measure on; by default the data set's own"
    )
    parser.add_argument("--height", type=int, help="pixels; by default the data set's own")
    parser.add_argument("--width", type=int, help="pixels; by default the data set's own")
    parser.add_argument("--object-size", type=int, default=24, help="of a shape, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="replace data made otherwise")
    options = vars(parser.parse_args(argv))
    with one_line_errors():
        config = options.pop("config_file") or find_set(options["name"]).config
        output, field = field_of_config(config)
        target = make_long_range(**options, receptive_field=field.size)
    print(f"{target} (receptive field of {output}: {field.size} px)")
