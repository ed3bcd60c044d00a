"""The same batch in one process or divided among several: a detector's loss and gradients."""

from pathlib import Path

import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from small_models import small_config
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.ops import boxes as box_ops

SIDE = 96  # of all images: a batch is padded to its largest one, which convolutions see
OPTIONS = [
    *("MODEL.RESNETS.NORM", "naiveSyncBN", "MODEL.FPN.NORM", "naiveSyncBN"),
    *("MODEL.NONLOCAL.NORM", "SyncBN"),
    # by what one process sees is its mean, and the mean of means is another than that of all
    *("MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS", False),
    *("MODEL.RPN.POST_NMS_TOPK_TRAIN", 60, "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 16),
]


def batch() -> list[dict]:
    """Four images with five objects each: all can fill a foreground of four RoIs."""
    generator = torch.Generator().manual_seed(3)
    images = []
    for _ in range(4):
        corner = torch.rand(5, 2, generator=generator) * SIDE / 2
        size = 16 + torch.rand(5, 2, generator=generator) * 30
        boxes = torch.cat([corner, corner + size], dim=1)
        truth = Instances((SIDE, SIDE))
        truth.gt_boxes = Boxes(boxes)
        truth.gt_classes = torch.zeros(5, dtype=torch.int64)
        x0, y0, x1, y1 = boxes.unbind(1)
        triangles = torch.stack([x0, y0, x1, y0, x1, y1], dim=1)
        truth.gt_masks = PolygonMasks([[one.double().numpy()] for one in triangles])
        inside = corner[:, None] + torch.rand(5, 17, 2, generator=generator) * size[:, None]
        truth.gt_keypoints = Keypoints(torch.cat([inside, torch.full((5, 17, 1), 2.0)], dim=2))
        image = torch.rand(3, SIDE, SIDE, generator=generator, dtype=torch.double) * 255
        images.append({"image": image, "instances": truth, "height": SIDE, "width": SIDE})
    return images


def detector() -> nn.Module:
    """In double precision: rounding decides no ReLU, and no keypoint's bin in its heatmap."""
    torch.manual_seed(0)
    model = build_model(small_config("quick/nl_mask_keypoint_rcnn_R18", *OPTIONS)).double()
    for name, parameter in model.named_parameters():
        if ".nl" in name and (".w_z." in name or ".norm." in name):
            nn.init.normal_(parameter, std=0.1)  # a block that starts at 0 has no gradient inside
    return model


def gradients(folder: str) -> None:
    """Save the gradients of this process's share of the batch, averaged over the processes."""
    single = box_ops.nms  # Detectron2 gives it boxes in single precision, and takes none in double
    box_ops.nms = lambda boxes, scores, iou: single(boxes, scores.float(), iou)
    torch.randperm = lambda n, **_: torch.arange(n)  # else each process draws other proposals
    model, images = detector(), batch()
    images = images[comm.get_rank() :: comm.get_world_size()]
    wrapped = DistributedDataParallel(model) if comm.get_world_size() > 1 else model
    with EventStorage():
        sum(wrapped.train()(images).values()).backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    torch.save(found, Path(folder) / f"{comm.get_rank()}_of_{comm.get_world_size()}.pth")
