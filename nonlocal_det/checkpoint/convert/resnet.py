"""ResNets with torchvision's names (``layer3.5.conv1``), and why a block inside one has no twin."""

from collections.abc import Callable

from .conversion import TORCH_FIELDS

_FIELD = f"({'|'.join(TORCH_FIELDS)})$"
_FRONT = r"^(?:backbone\.|module\.|img_backbone\.)*"


def _stages() -> tuple[tuple[str, str], ...]:
    found = []
    for n in (1, 2, 3, 4):  # layer1 is res2
        block = rf"{_FRONT}layer{n}\.(\d+)"
        found += [
            (rf"{block}\.conv([123])\.weight$", rf"res{n + 1}.\1.conv\2.weight"),
            (rf"{block}\.bn([123])\.{_FIELD}", rf"res{n + 1}.\1.conv\2.norm.\3"),
            (rf"{block}\.downsample\.0\.weight$", rf"res{n + 1}.\1.shortcut.weight"),
            (rf"{block}\.downsample\.1\.{_FIELD}", rf"res{n + 1}.\1.shortcut.norm.\2"),
        ]
    return tuple(found)


TORCHVISION_RESNET = (
    (rf"{_FRONT}conv1\.weight$", "stem.conv1.weight"),
    (rf"{_FRONT}bn1\.{_FIELD}", r"stem.conv1.norm.\1"),
    *_stages(),
)

RESNET_NOTE = (
    "a ResNet of torchvision's names has its stride in the 3x3 convolution "
    "(MODEL.RESNETS.STRIDE_IN_1X1 False) and usually RGB input with mean 123.675, 116.28, 103.53 "
    "and deviation 58.395, 57.12, 57.375: set INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD"
)


def inside(project: str) -> Callable[[str], str]:
    """The place of a block that a project puts inside a residual block: none of ours."""

    def place(module: str) -> str:
        raise ValueError(
            f"{project} has the block {module or 'of the file'!r} inside a residual block or in a "
            "network of its own, and ours follows a residual block's last ReLU: with the same "
            "weights it is another function; to start from them all the same, give its place: "
            f"--place {module or '.'} backbone.bottom_up.res4.nl4"
        )

    return place
