import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.video import r3d_18

from nonlocal_det.layers import NonLocalBlock, insert_after

resnet = resnet50()  # 2D: right before the last residual block of res4, no other name changes
insert_after(resnet.layer3, "4", "nl4", NonLocalBlock(1024))
print(resnet(torch.rand(1, 3, 64, 64)).shape)  # torch.Size([1, 1000])

video = r3d_18()  # 3D: every position of every frame sees all others
insert_after(video.layer3, "0", "nl0", NonLocalBlock(256, pairwise="dot_product", ndim=3))
print(video(torch.rand(1, 3, 8, 32, 32)).shape)  # torch.Size([1, 400])

sound = nn.Sequential(nn.Conv1d(1, 32, 9, stride=4), nn.ReLU(), NonLocalBlock(32, ndim=1))
print(sound(torch.rand(2, 1, 400)).shape)  # torch.Size([2, 32, 98])
