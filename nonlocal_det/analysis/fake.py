"""A model on a device that need not be there: tensors without numbers, stand-ins where needed."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.layers import DeformConv, ModulatedDeformConv
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def become_fake(model: nn.Module, device: torch.device) -> None:
    """Give a model on the meta device parameters that say they are on another one.

    To be called, as the model itself, under torch's ``FakeTensorMode``. What depends on the device
    (``KERNEL: auto``, torch's batch norm and attention) is then decided as it is there.

    A deformable convolution becomes a plain one of the same shape: Detectron2's operators do not
    run on such tensors. Its multiply-adds are the same; the sampling is not counted.

    Args:
        model: changed in place.
        device: the CPU or an accelerator.
    """
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            made = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            module._parameters[name] = nn.Parameter(made, requires_grad=parameter.requires_grad)
        for name, buffer in module.named_buffers(recurse=False):
            made = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
            module._buffers[name] = made
        if isinstance(module, DeformConv | ModulatedDeformConv):
            module.forward = partial(_plain_convolution, module)


def _plain_convolution(
    module: Any, x: Tensor, offset: Tensor, mask: Tensor | None = None
) -> Tensor:
    m = module
    bias = getattr(m, "bias", None)
    y = F.conv2d(x, m.weight, bias, m.stride, m.padding, m.dilation, m.groups)
    for after in (m.norm, m.activation):
        y = y if after is None else after(y)
    return y


class AttentionOfCuda(TorchFunctionMode):
    """Where there is no GPU to ask, ``scaled_dot_product_attention`` takes CUDA's kernel.

    torch asks the GPU which kernel it can run, and without one falls back to the form with the
    P x Q matrix. In float32 a GPU takes the memory-efficient kernel (flash attention and cuDNN's
    are for half precision), so that one stands in; with a mask torch is left to decide.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one function of torch, the attention by its memory-efficient kernel."""
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention or torch.cuda.is_available():
            return func(*args, **kwargs)
        q, k, v, *rest = args
        mask = rest[0] if rest else kwargs.get("attn_mask")
        if q.device.type != "cuda" or mask is not None:
            return func(*args, **kwargs)
        y, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
            q, k, v, None, torch.is_grad_enabled(), scale=kwargs.get("scale")
        )
        return y
