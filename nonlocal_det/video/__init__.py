"""Video: C2D and I3D networks with non-local blocks, the paper's Sec. 4 and 5.

Importing it registers the backbones, the classifier and the published data sets with Detectron2;
PyAV is imported when a file is read.
"""

from .classifier import VideoClassifier
from .config import add_video_config
from .datasets import register_kinetics_and_charades, register_video_data
from .resnet import VideoResNet

__all__ = [
    "VideoClassifier",
    "VideoResNet",
    "add_video_config",
    "register_kinetics_and_charades",
    "register_video_data",
]

register_kinetics_and_charades()
