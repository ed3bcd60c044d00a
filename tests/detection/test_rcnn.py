"""An image's features do not depend on its batch mates, once the convolutions are padding-proof."""

import pytest
import torch
from detectron2.modeling import build_model
from small_models import small_config
from torch import nn

from nonlocal_det.layers import nonlocal_blocks


class PerPixel(nn.Module):
    """A backbone of 1x1 convolutions and striding, round the block: blind to zero padding."""

    size_divisibility = 32
    padding_constraints: dict = {}

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, block.in_channels, 1, stride=16)
        self.block = block

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"res4": self.block(self.stem(x))}


def features(model, inputs) -> torch.Tensor:
    """What the backbone gives inside the whole meta-architecture."""
    kept = []
    handle = model.backbone.register_forward_hook(lambda *args: kept.append(args[2]["res4"]))
    with pytest.raises(KeyError):  # the proposal generator finds no p2: that is far enough
        model(inputs)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize("architecture", ["NonLocalGeneralizedRCNN", "GeneralizedRCNN"])
def test_features_alone_and_in_a_batch(architecture):
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.META_ARCHITECTURE", architecture)
    model = build_model(cfg).eval()
    block = nonlocal_blocks(model)["backbone.bottom_up.res4.nl0"]
    nn.init.normal_(block.w_z.weight)
    model.backbone = PerPixel(block)
    small, large = ({"image": torch.rand(3, *size) * 255} for size in ((64, 96), (96, 160)))
    with torch.no_grad():
        alone = features(model, [small])
        together = features(model, [small, large])
    difference = (together[:1, :, :4, :6] - alone[:, :, :4, :6]).abs().max()
    if architecture == "NonLocalGeneralizedRCNN":
        assert difference < 1e-5 * alone.abs().max()
    else:
        assert difference > 1e-2 * alone.abs().max()
    assert block.padding_of_batch is None


def test_training_forgets_the_padding_too():
    cfg = small_config()
    model = build_model(cfg)
    assert type(model).__name__ == "NonLocalGeneralizedRCNN"
    with pytest.raises(KeyError):
        model.train()([{"image": torch.zeros(3, 64, 64), "instances": None, "height": "x"}, {}])
    assert all(block.padding_of_batch is None for block in nonlocal_blocks(model).values())
