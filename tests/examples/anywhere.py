import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.video import r3d_18

from nonlocal_det.layers import NonLocalBlock, insert_after

x = torch.rand(2, 1024, 50, 84)  # (N, C, H, W)
block = NonLocalBlock(1024, pairwise="dot_product")
print(block(x).shape)  # torch.Size([2, 1024, 50, 84])
print(torch.equal(block(x), x))  # True: the identity, until it has learnt
resnet, video = resnet50(), r3d_18()  # of torchvision
insert_after(resnet.layer3, "4", "nl4", NonLocalBlock(1024))  # before the last one; no name moves
insert_after(video.layer3, "0", "nl0", NonLocalBlock(256, pairwise="dot_product", ndim=3))
sound = nn.Sequential(nn.Conv1d(1, 32, 9, stride=4), nn.ReLU(), NonLocalBlock(32, ndim=1))
print(resnet(torch.rand(1, 3, 64, 64)).shape)  # torch.Size([1, 1000])
print(video(torch.rand(1, 3, 8, 32, 32)).shape)  # torch.Size([1, 400])
print(sound(torch.rand(2, 1, 400)).shape)  # torch.Size([2, 32, 98])
