"""A depthwise layer whose gradients are taken the quick way on the CPU.

For 5 x 5 windows oneDNN has no depthwise kernel for the weights' gradient: its general one takes as long as the layer's forward pass four
times over, in bfloat16 far longer. But the gradient of one film is itself a depthwise convolution, of the film with what comes back
as its window, spread by the stride, and forward kernels exist for any window: half the time, the same sums in another order.

In bfloat16 the film's gradient has no kernel at stride 2 either, and is taken in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

QUICKER_FROM = 5  # the side of a window; 3 x 3 has its own kernel, which is faster still
LAST = torch.channels_last


def pays(x: Tensor, weight: Tensor, stride: int) -> bool:
    """Whether `depthwise` is the quicker way for this film, weight and stride: a gradient is wanted, on the CPU, in float32 or bfloat16."""
    if not (weight.requires_grad and torch.is_grad_enabled() and x.device.type == "cpu" and weight.shape[1] == 1):
        return False
    if weight.dtype != torch.float32 or x.dtype not in (torch.float32, torch.bfloat16) or torch.compiler.is_compiling():
        return False
    dtype = _computed_in(x)
    return (weight.shape[-1] >= QUICKER_FROM and dtype in (torch.float32, torch.bfloat16)) or (dtype == torch.bfloat16 and stride == 2)


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Filter each channel by its own window, with TensorFlow's SAME padding and without a padded copy of the film.

    Args:
        x: (n, C, H, W) floats; within autocast computed in its dtype.
        weight: (C, 1, k, k), k odd; its gradient has its own dtype.
        stride: 1 or 2.

    Returns:
        (n, C, ceil(H / stride), ceil(W / stride)), channels last, in the dtype that it is computed in.
    """
    filtered: Tensor = _Depthwise.apply(x.to(_computed_in(x)), weight, stride)  # type: ignore[no-untyped-call]
    return filtered


def late(x: Tensor, kernel: int, stride: int) -> list[int]:
    """Return by how many windows SAME starts after a symmetric padding of one window more: 1 for an even side at stride 2, else 0."""
    return [1 - int(side) % 2 if stride == 2 and kernel > 1 else 0 for side in x.shape[2:]]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # noqa: ANN401 - torch's own object
        ctx.save_for_backward(x, weight)
        ctx.stride, later = stride, late(x, weight.shape[-1], stride)
        y = functional.conv2d(x, weight.to(x.dtype), None, stride, _padding(weight, later), 1, len(weight))
        return y[..., later[0] :, later[1] :].contiguous(memory_format=LAST)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=LAST)
        of_film = _of_film(grad, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        return of_film, _of_weight(grad, x, weight, ctx.stride), None


def _computed_in(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _padding(weight: Tensor, later: list[int]) -> list[int]:
    return [weight.shape[-1] // 2 + windows for windows in later]


def _of_film(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    later, rounded = late(x, weight.shape[-1], stride), weight.to(x.dtype)
    whole = functional.pad(grad, (later[1], 0, later[0], 0)) if any(later) else grad
    dtype = weight.dtype if stride == 2 else x.dtype
    film = x if x.dtype == dtype else torch.empty_like(x, dtype=dtype)  # read for its shape alone
    found = torch.ops.aten.convolution_backward(
        whole.to(dtype),
        film,
        rounded.to(dtype),
        None,
        [stride, stride],
        _padding(weight, later),
        [1, 1],
        False,
        [0, 0],
        len(weight),
        [True, False, False],
    )
    of_film: Tensor = found[0].to(x.dtype)
    return of_film


def _of_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    kernel = weight.shape[-1]
    before = [kernel // 2 - windows for windows in late(x, kernel, stride)]
    # What SAME pads after, which is never less than before: on both sides it moves the window's (0, 0) to (after - before).
    after = [(out - 1) * stride + kernel - side - b for out, side, b in zip(grad.shape[2:], x.shape[2:], before, strict=True)]
    top, left = (a - b for a, b in zip(after, before, strict=True))
    total = torch.zeros_like(weight)
    for k in range(len(x)):
        found = functional.conv2d(x[k : k + 1], grad[k, :, None], None, 1, after, stride, len(weight))
        total += found[0, :, None, top : top + kernel, left : left + kernel]
    return total
