"""``python -m nonlocal_det VERB``: every command, also for who has only the wheel."""

import sys
from importlib import import_module

from .requirement import detectron2_problem

PROGRAM = "python -m nonlocal_det"

VERBS = {
    "train": ("cli.train", "train and evaluate a model; --eval-only evaluates"),
    "train-lazy": ("cli.train_lazy", "train from a LazyConfig, as Detectron2's own tool"),
    "demo": ("cli.demo", "draw what a model detects in pictures or a video, and its attention"),
    "classify": ("cli.classify", "the best classes of video files, drawn over them and by second"),
    "explore": ("cli.explore", "a local page: click a picture, see where the blocks look"),
    "export": ("cli.export", "write a trained model as ONNX, TorchScript or plain weights"),
    "convert": ("cli.convert", "convert weights of other projects and formats"),
    "check": ("cli.check", "find what is wrong with COCO-format data, or videos"),
    "visualize-data": ("cli.visualize_data", "draw what the training loader feeds the model"),
    "analyze": ("cli.analyze", "parameters, multiply-adds and memory of a model"),
    "analyze-errors": ("cli.analyze_errors", "where the AP of a results file is lost"),
    "summarize-attention": ("cli.summarize_attention", "statistics of attention over a data set"),
    "reproduce": ("cli.reproduce", "the paper's tables as paired runs over seeds"),
    "draw-long-range": ("cli.draw_long_range", "figures of a long-range suite"),
    "replay": ("cli.replay", "run a saved training step again, one that went wrong"),
    "quickstart": ("cli.quickstart", "draw data, train a small model, evaluate, draw pictures"),
    "quickstart-video": ("cli.quickstart_video", "the same with a network for video files"),
    "make-mini-coco": ("cli.make_mini_coco", "draw the mini data set in COCO's layout"),
    "make-long-range": ("cli.make_long_range", "draw a long-range data set"),
    "draw-figures": ("cli.draw_figures", "draw the README's figure"),
    "install": ("install", "get a working Detectron2"),
}
"""The module of each verb, and what it does in a line."""

NOTE = """
Results go to stdout, progress and logs to stderr. Exit status: 0 done; 1 an error, in a line;
2 the command line is wrong; 130 or 143 stopped by Ctrl-C or SIGTERM. Others: see the verb."""


def main() -> None:
    """Run the verb that the command line names, or list all of them."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        head = f"usage: {PROGRAM} VERB [...]\n\nverbs (VERB --help has options and examples):"
        print("\n".join([head, *(f"  {v:20} {line}" for v, (_, line) in VERBS.items()), NOTE]))
        raise SystemExit(0)
    if words[0] not in VERBS:
        raise SystemExit(f"error: no verb {words[0]!r}; expected one of {', '.join(VERBS)}")
    if words[0] != "install" and (problem := detectron2_problem()):
        raise SystemExit(f"error: {problem}")
    sys.argv = [f"{PROGRAM} {words[0]}", *words[1:]]
    raise SystemExit(import_module(f"nonlocal_det.{VERBS[words[0]][0]}").main())


if __name__ == "__main__":
    main()
