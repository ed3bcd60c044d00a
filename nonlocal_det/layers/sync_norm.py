"""Batch norm over the images of all processes, on a CPU too."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SyncBatchNorm(nn.BatchNorm2d):
    """torch's SyncBatchNorm, which refuses a CPU, with a path for it.

    On a CPU the sums of all processes are added in float64, differentiably: the same numbers as one
    batch norm over all images. It is no subclass of torch's, because DistributedDataParallel
    refuses these on a CPU; names and numbers in a checkpoint are the same.

    Shape:
        x (N, C, *S) -> the same.
    """

    process_group = None  # all processes; torch's forward reads it
    _check_input_dim = nn.SyncBatchNorm._check_input_dim  # maps of any dimension
    _check_non_zero_input_channels = nn.SyncBatchNorm._check_non_zero_input_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised by what all processes have, in evaluation by running statistics."""
        alone = not (dist.is_available() and dist.is_initialized())
        if x.device.type != "cpu" or not self.training or alone:
            y: Tensor = nn.SyncBatchNorm.forward(self, x)  # type: ignore[arg-type]
            return y
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.double()
        ones = wide.new_full((1,), x.numel() // x.shape[1] if x.shape[1] else 0)
        sums = torch.cat([wide.sum(axes), wide.square().sum(axes), ones])  # (2 C + 1)
        total, squares, count = all_reduce(sums).split([x.shape[1], x.shape[1], 1])
        mean = total / count
        variance = squares / count - mean.square()
        self._track(mean.detach(), variance.detach(), float(count))
        view = (1, -1) + (1,) * (x.dim() - 2)
        factor = self.weight * (variance + self.eps).rsqrt()
        return ((wide - mean.view(view)) * factor.view(view)).to(x.dtype) + self.bias.view(view)

    def _track(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Move the running statistics, the variance by its unbiased estimate, as torch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
