"""What can be exported in which format: data that a test proves, for the README's table."""

from .formats import FORMATS, OPSET

MODELS = {
    "mask": ("quick/mask_keypoint_rcnn_R18", "MODEL.KEYPOINT_ON", False),
    "keypoint": ("quick/mask_keypoint_rcnn_R18", "MODEL.MASK_ON", False),
    "nl_mask": ("quick/nl_mask_keypoint_rcnn_R18", "MODEL.KEYPOINT_ON", False),
    "nl_keypoint": ("quick/nl_mask_keypoint_rcnn_R18", "MODEL.MASK_ON", False),
    "nl_mask_keypoint": ("quick/nl_mask_keypoint_rcnn_R18",),
}
"""The kinds of model: a small config of each, and the options that make it so."""

STATUS = {
    "torchscript": dict.fromkeys(MODELS, "any size"),
    "scripted": {kind: "-" if kind.startswith("nl") else "any size" for kind in MODELS},
    "onnx": dict.fromkeys(MODELS, f"any size, opset {OPSET}"),
    "torch_export": dict.fromkeys(MODELS, "-"),
    "weights": dict.fromkeys(MODELS, "all tensors"),
}
"""Format -> kind of model -> what of it works; "-": nothing, and the error says why."""

REASONS = {
    "torch_export": "torchvision::nms tells torch.export that it keeps two boxes at least, so a "
    "file would fail on an image without a detection; and image sides would be fixed, as the FPN's "
    "depend on whether they are odd",
    "scripted": "torch.jit.script cannot compile a non-local block, whose pooling and kernel are "
    "chosen from tables of functions; torchscript records it, and takes images of every size too",
}
"""Format -> what it cannot do, and why, in a sentence."""


def status_table() -> str:
    """The table format x model of `STATUS`, in Markdown, and a line for each reason."""
    head = ["format", *(kind.replace("_", " ").replace("nl", "NL") for kind in MODELS)]
    rows = [head, ["---"] * len(head)]
    rows += [[f"`{name}`", *(STATUS[name][kind] for kind in MODELS)] for name in FORMATS]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- `{name}`: {why}" for name, why in REASONS.items())])
