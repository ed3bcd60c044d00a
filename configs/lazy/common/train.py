"""Detectron2's training options and 1x schedule; the CPU where there is no GPU."""

import torch
from detectron2 import model_zoo

train = model_zoo.get_config("common/train.py").train
train.device = "cuda" if torch.cuda.is_available() else "cpu"
train.eval_period = 0  # after the last iteration alone, as in the YAML configs
train.seed = -1
optimizer = model_zoo.get_config("common/optim.py").SGD
lr_multiplier = model_zoo.get_config("common/coco_schedule.py").lr_multiplier_1x
