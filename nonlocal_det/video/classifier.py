"""The video classifier: a backbone, global average pooling, dropout and one linear layer.

*Source*: Wang et al., Non-local Neural Networks, Table 1 and Sec. 5.1, 5.2.
"""

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from torch import Tensor, nn
from torch.nn import functional as F

from nonlocal_det.named_outputs import NamedOutput, register_named_outputs

from .resnet import VideoResNet

LOSSES = ("softmax", "sigmoid")
"""One class a video (cross entropy), or any number of them (binary cross entropy per class)."""


class VideoHead(nn.Module):
    """Global average pooling, dropout, then a linear layer; convolutional in evaluation.

    Args:
        in_channels: C, of the features.
        num_classes: K.
        dropout: probability of dropping a feature in training.
    """

    window = 7  # of res5 where the network is trained: 224 pixels / 32

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_channels, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of features (N, C, T, H, W): (N, K) in training, else (N, M, K).

        In evaluation the average goes over all of time and windows of 7x7 at every place, so that
        M scores of a larger picture can be averaged; M is 1 up to 7x7.
        """
        if self.training:
            logits: Tensor = self.linear(self.dropout(x.mean(dim=(2, 3, 4))))
            return logits
        height, width = (min(self.window, side) for side in x.shape[3:])
        pooled = F.avg_pool3d(x, (x.shape[2], height, width), stride=1)  # (N, C, 1, h, w)
        everywhere: Tensor = self.linear(
            pooled.flatten(2).transpose(1, 2)
        )  # (N, M, C) -> (N, M, K)
        return everywhere


register_named_outputs(VideoHead, NamedOutput("linear", "thing_classes"))


@META_ARCH_REGISTRY.register()
class VideoClassifier(nn.Module):
    """Classify clips: uint8 in, losses or scores out.

    Args:
        backbone: gives one feature map (N, C, T, H, W).
        in_features: the name of that map.
        num_classes: K.
        dropout: see `VideoHead`.
        loss: one of `LOSSES`.
        pixel_mean, pixel_std: per channel, in the range of 0 to 255.
        input_format: the channel order of mean, deviation and weights, ``"RGB"`` or ``"BGR"``;
            clips are always RGB.
        views_per_batch: views of a video that are computed at once in evaluation; 0: all of them.

    Raises:
        ValueError: the loss or the format is not among its names.
    """

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        in_features: str = "res5",
        num_classes: int,
        dropout: float = 0.5,
        loss: str = "softmax",
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
        views_per_batch: int = 0,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"MODEL.VIDEO.LOSS={loss!r}; expected one of {', '.join(LOSSES)}")
        if input_format not in ("RGB", "BGR"):
            raise ValueError(f"INPUT.FORMAT={input_format!r}; expected RGB or BGR")
        self.input_format = input_format
        self.backbone, self.in_features = backbone, in_features
        self.num_classes, self.loss, self.views_per_batch = num_classes, loss, views_per_batch
        self.head = VideoHead(backbone.output_shape()[in_features].channels, num_classes, dropout)
        shape = (1, -1, 1, 1, 1)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(shape), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(shape), False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Translate a config to the arguments of the constructor.

        Raises:
            ValueError: the config has no video keys, or its clips are smaller than the strides.
        """
        if "VIDEO" not in cfg.MODEL:
            raise ValueError(
                "the config has no node MODEL.VIDEO; call nonlocal_det.video.add_video_config(cfg) "
                "right after get_cfg(), or let its file have the node"
            )
        backbone = build_backbone(cfg)
        sizes = cfg.INPUT.VIDEO
        if isinstance(backbone, VideoResNet):
            backbone.check_size(sizes.FRAMES, sizes.CROP, min(sizes.CROP, sizes.TEST_SIZE))
        return {
            "backbone": backbone,
            "in_features": cfg.MODEL.RESNETS.OUT_FEATURES[0],
            "num_classes": cfg.MODEL.VIDEO.NUM_CLASSES,
            "dropout": cfg.MODEL.VIDEO.DROPOUT,
            "loss": cfg.MODEL.VIDEO.LOSS,
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
            "input_format": cfg.INPUT.FORMAT,
            "views_per_batch": cfg.TEST.VIEWS_PER_BATCH,
        }

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.pixel_mean.device
        return device

    def normalise(self, clips: Tensor) -> Tensor:
        """Move RGB clips (N, 3, T, H, W) to the device, order and normalise their channels."""
        clips = clips.to(self.device, non_blocking=True)
        if self.input_format == "BGR":
            clips = clips.flip(1)
        return (clips - self.pixel_mean) / self.pixel_std

    def logits(self, clips: Tensor) -> Tensor:
        """Compute the logits of clips (N, 3, T, H, W) of 0 to 255; see `VideoHead.forward`."""
        features: Tensor = self.head(self.backbone(self.normalise(clips))[self.in_features])
        return features

    def forward(self, batch: list[dict[str, Any]]) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Compute the loss of a batch in training, the scores of each video in evaluation.

        Args:
            batch: samples with ``video``: in training a clip (3, T, H, W) and ``label``, a class
                or with the sigmoid a list of them; in evaluation the views (V, 3, T, H, W).

        Returns:
            In training ``{"loss_cls": ()}``; in evaluation for each video ``{"scores": (V, K)}``,
            float64 on the CPU: log of the mean softmax over positions, or the log-odds of the mean
            sigmoid. Logarithms, so that confident scores keep their order.
        """
        if not self.training:
            return [{"scores": self._scores(sample["video"])} for sample in batch]
        clips = torch.stack([sample["video"] for sample in batch])
        logits = self.logits(clips).float()
        labels = [sample["label"] for sample in batch]
        if self.loss == "softmax":
            target = torch.tensor(labels, device=self.device)
            return {"loss_cls": F.cross_entropy(logits, target)}
        target = torch.zeros(logits.shape, device=self.device)
        for row, classes in zip(target, labels, strict=True):
            row[list(classes)] = 1
        return {"loss_cls": F.binary_cross_entropy_with_logits(logits, target)}

    def _scores(self, views: Tensor) -> Tensor:
        parts = views.split(self.views_per_batch or len(views))
        logits = torch.cat([self.logits(part).double() for part in parts]).cpu()  # (V, M, K)
        return mean_log_score(logits, self.loss, dim=1)


def mean_log_score(logits: Tensor, loss: str, dim: int) -> Tensor:
    """Average probabilities over one dimension of logits (..., K), in logarithms.

    Args:
        logits: float64.
        loss: one of `LOSSES`.
        dim: the dimension that goes.

    Returns:
        The log of the mean softmax, or the log-odds of the mean sigmoid: a sigmoid near 1 would
        round to 1 and lose the order of the most confident videos.
    """
    if loss == "softmax":
        return mean_of_logs(logits.log_softmax(-1), dim)
    return mean_of_logs(F.logsigmoid(logits), dim) - mean_of_logs(F.logsigmoid(-logits), dim)


def mean_of_logs(logs: Tensor, dim: int) -> Tensor:
    """Return the log of the mean of what is given as logarithms."""
    total: Tensor = logs.logsumexp(dim)
    return total - torch.tensor(logs.shape[dim], dtype=logs.dtype).log()
