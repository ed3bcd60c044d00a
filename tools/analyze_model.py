"""What a detector costs: parameters, multiply-adds and activation memory, per part."""

from nonlocal_det.cli.analyze import build_cost_parser, cost_document
from nonlocal_det.cli.errors import one_line_errors

if __name__ == "__main__":
    args = build_cost_parser().parse_args()
    with one_line_errors():
        print(cost_document(args))
