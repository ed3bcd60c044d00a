r"""Classify video files: their best five classes, and the scores second by second.

Examples, after quickstart-video:
  %(prog)s --config-file video/quick/nl_i3d_R18 \
      --video datasets/moving_clips/val/left/00003.mp4
  %(prog)s --config-file video/quick/nl_i3d_R18 --video walk.mp4 run.webm --every 0.5

Writes NAME_top5.mp4 (the classes drawn over the frames), NAME_scores.png, NAME_scores.csv of each
and classes.json. A file that cannot be read is named, and the others are done. With --query also
where each block attends from a point of a frame: NAME_X_Y_FRAME_BLOCK.png and .mp4, its share over
time NAME_X_Y_FRAME_time.png, and NAME_attention.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from nonlocal_det.inference.clip_attention import parse_point, write_clip_attention
from nonlocal_det.inference.clip_classifier import ClipClassifier, VideoScores, scores_at
from nonlocal_det.inference.detector import load_model_config
from nonlocal_det.inference.sources import distinct_names
from nonlocal_det.video.decoding import iterate_frames
from nonlocal_det.video.index import VideoError, video_index
from nonlocal_det.visualization.video_scores import (
    draw_scores,
    draw_top_classes,
    write_mp4,
    write_scores,
)

from .arguments import build_config_parser, names
from .errors import one_line_errors


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument("--video", nargs="+", required=True, metavar="FILE", help="video files")
    parser.add_argument("--output", type=Path, default=Path("output/classify"), help="folder")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="between scores"
    )
    parser.add_argument("--no-video", action="store_true", help="write no mp4, which takes longest")
    look = parser.add_argument_group("where blocks attend")
    look.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="X,Y,FRAME",
        help="a point in pixels of a frame, counted from 0; repeatable",
    )
    look.add_argument("--blocks", type=names, default=[], metavar="NAME,...", help="as res4.nl4")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, classify, print the classes and what was written."""
    args = build_parser().parse_args(argv)
    with one_line_errors():
        failed = _classify(args)
    if failed:
        sys.exit(1)


def _classify(args: argparse.Namespace) -> int:
    """Classify all files; return how many could not be read.

    Raises:
        ValueError: ``--every`` is not above 0, or ``--query`` is no point of each video; or as
            `ClipClassifier`.
    """
    points = [parse_point(text) for text in args.query]
    if not args.every > 0:
        raise ValueError(f"--every {args.every}: expected seconds above 0")
    classify = ClipClassifier(load_model_config(args), args.weights)
    args.output.mkdir(parents=True, exist_ok=True)
    stems = distinct_names([Path(name) for name in args.video])
    results, failed = {}, 0
    for name, stem in zip(args.video, stems, strict=True):
        try:
            write_clip_attention(
                classify,
                name,
                args.output / stem,
                points,
                blocks=args.blocks,
                film=not args.no_video,
            )
            scores = classify(name, args.every)
            _write(scores, name, args.output / stem, video=not args.no_video)
        except VideoError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        results[name] = [{"class": label, "probability": p} for label, p in scores.best()]
        print(f"{name}: " + ", ".join(f"{label} {100 * p:.1f} %" for label, p in scores.best()))
    (args.output / "classes.json").write_text(json.dumps(results, indent=1))
    print(f"{len(results)} videos: {args.output}" + (f"; {failed} cannot be read" * bool(failed)))
    return failed


def _write(scores: VideoScores, path: str, stem: Path, video: bool) -> None:
    csv_file, plot = (stem.with_name(f"{stem.name}_scores.{kind}") for kind in ("csv", "png"))
    write_scores(scores.times, scores.by_time, scores.classes, csv_file)
    draw_scores(scores.times, scores.by_time, scores.classes, plot)
    if not video:
        return
    index = video_index(path)
    times = [index.time(frame) for frame in range(len(index))]
    bar = tqdm(
        iterate_frames(path), total=len(index), unit=" frames", disable=not sys.stderr.isatty()
    )
    drawn = (
        draw_top_classes(frame, scores.classes, row)
        for frame, row in zip(bar, scores_at(scores, iter(times)), strict=True)
    )
    write_mp4(stem.with_name(f"{stem.name}_top5.mp4"), drawn, times)


if __name__ == "__main__":
    main()
