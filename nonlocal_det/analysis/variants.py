"""One detector with each pairwise function and subsampling: is a block cheap in all of them?"""

from collections.abc import Mapping

from detectron2.config import CfgNode

from nonlocal_det.layers import PAIRWISE, SUBSAMPLE

from .report import Report, analyze


def analyze_variants(
    configs: Mapping[str, CfgNode],
    *,
    size: tuple[int, int] | None = None,
    proposals: int | None = None,
    detections: int | None = None,
    device: str = "cpu",
) -> list[tuple[tuple[str, ...], Report]]:
    """The multiply-adds of detectors with the four functions, with and without pooling.

    Args:
        configs: by name; each of a detector with NL blocks.
        size: see `analyze`.
        proposals: see `analyze`.
        detections: see `analyze`.
        device: see `analyze`.

    Returns:
        (name, pairwise, subsample) and the report, without activation memory.

    Raises:
        ValueError: see `analyze`.
    """
    found: list[tuple[tuple[str, ...], Report]] = []
    for name, cfg in configs.items():
        for pairwise in PAIRWISE:
            for subsample in SUBSAMPLE:
                variant = cfg.clone()
                variant.defrost()
                variant.MODEL.NONLOCAL.PAIRWISE = pairwise
                variant.MODEL.NONLOCAL.SUBSAMPLE = subsample
                report = analyze(
                    variant,
                    name,
                    size=size,
                    proposals=proposals,
                    detections=detections,
                    device=device,
                    memory=False,
                )
                found.append(((name, pairwise, subsample), report))
    return found
