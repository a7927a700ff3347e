"""EfficientNet-Lite: inverted bottlenecks with ReLU6, no squeeze-and-excitation (Tan and Le, arXiv 1905.11946; Google's Lite variant).

Parameter names are those of the published PyTorch files, so every key but the classifier's finds its place. Padding is TensorFlow's
SAME, which the weights were trained with: at stride 2 an even side is padded on the right and bottom only.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.lab.training.networks.depthwise import depthwise, late, pays
from osteon.lab.training.networks.freezing import Freezable

Variant = Literal["lite0", "lite1", "lite2"]

WIDTH_DEPTH: dict[Variant, tuple[float, float]] = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""How each variant stretches the stages' channels and repeats."""

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
"""Repeats, kernel, stride, expansion, output channels of each stage of Lite0."""

STEM, HEAD = 32, 1280
"""Channels of the first and the last convolution, the same in every variant."""


class SameConv2d(nn.Conv2d):
    """A convolution without bias and with TensorFlow's SAME padding, for a square odd kernel and stride 1 or 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is torch's
        """Return (n, outputs, ceil(H / stride), ceil(W / stride))."""
        if pays(input, self.weight, self.stride[0]):
            return depthwise(input, self.weight, self.stride[0])
        if self.stride[0] == 2:
            (top, bottom), (left, right) = (_same_padding(int(side), self.kernel_size[0]) for side in input.shape[2:])
            input = functional.pad(input, (left, right, top, bottom))  # noqa: A001
        # Where all channels of a film are alike one of them is enough: filters that are summed see as much in it.
        alone = self.groups == 1 and input.shape[1] == 1
        filtered: Tensor = self._conv_forward(input, self.weight.sum(1, keepdim=True) if alone else self.weight, None)
        return filtered

    def folded(self, x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        """Return `norm(self(x))` for a `norm` that keeps its statistics, in one pass over the film instead of two."""
        weight, bias = _fold(self.weight, norm)
        half = self.kernel_size[0] // 2
        # At stride 2 an even side wants windows that start one later than a symmetric padding's. One zero more in front, and the first
        # window left out, is the same without a padded copy of the film (a tenth of its time); backward it would be slower.
        extra = late(x, self.kernel_size[0], self.stride[0])
        y = functional.conv2d(x, weight, bias, self.stride, [half + e for e in extra], 1, self.groups)
        return y[..., extra[0] :, extra[1] :].contiguous(memory_format=torch.channels_last) if any(extra) else y


class InvertedBottleneck(nn.Module):
    """Expand by 1 x 1, filter each channel, project by 1 x 1 without activation; add the input where shapes allow (MobileNetV2)."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inputs, outputs = channels
        wide = inputs * expansion
        self._expand_conv = SameConv2d(inputs, wide) if expansion > 1 else None
        self._bn0 = _norm(wide) if expansion > 1 else None
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = SameConv2d(wide, outputs)
        self._bn2 = _norm(outputs)
        self.stride, self.residual = stride, stride == 1 and inputs == outputs

    def forward(self, x: Tensor, fold: bool = False) -> Tensor:
        """Return (n, outputs, ceil(H / stride), ceil(W / stride)); `fold` merges each norm, which then keeps its statistics."""
        wide = x
        if self._expand_conv is not None and self._bn0 is not None:
            wide = _relu6(_normed(self._expand_conv, self._bn0, x, fold))
        wide = _relu6(_normed(self._depthwise_conv, self._bn1, wide, fold))
        narrow = _normed(self._project_conv, self._bn2, wide, fold)
        return x + narrow if self.residual else narrow


class EfficientNetLite(Freezable):
    """EfficientNet-Lite without its classifier: a film to features at four strides.

    Attributes:
        channels: Channels of the features by stride; stride 32 is the head's 1280.
        mean: Of the input, in grey levels 0 to 255, by channel.
        std: Of the input, in grey levels, by channel.
    """

    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, variant: Variant = "lite0") -> None:
        """Build one of the three sizes, with random weights."""
        super().__init__()
        width, depth = WIDTH_DEPTH[variant]
        self._conv_stem = SameConv2d(3, STEM, 3, 2)
        self._bn0 = _norm(STEM)
        self._blocks = nn.ModuleList(_blocks(width, depth))
        last = round_channels(STAGES[-1][-1] * width)
        self._conv_head = SameConv2d(last, HEAD)
        self._bn1 = _norm(HEAD)
        self._ends = _stride_ends(self._blocks)
        self.channels = {stride: _outputs(self._blocks[i]) for i, stride in self._ends.items()} | {32: HEAD}
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Return the features by stride.

        Args:
            x: (n, 3, H, W) float, `(grey - mean) / std`; or (n, 1, H, W) for three channels that are alike.

        Returns:
            (n, channels[s], ceil(H / s), ceil(W / s)) for s = 4, 8, 16 and 32.
        """
        every = self._measuring()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = _relu6(_normed(self._conv_stem, self._bn0, x, every or self._folds(0)))
        features: dict[int, Tensor] = {}
        for i, block in enumerate(self._blocks):
            fixed = i < self.frozen
            with torch.set_grad_enabled(torch.is_grad_enabled() and not fixed):
                x = block(x, every or self._folds(i))
            if i in self._ends:
                features[self._ends[i]] = x
        features[32] = self._head(x)
        return features

    def _head(self, x: Tensor) -> Tensor:
        """Turn the last block's features into the 1280 channels that ImageNet's classifier averaged, in [0, 6]."""
        y = _relu6(_normed(self._conv_head, self._bn1, x, self._measuring()))
        if y.requires_grad and y.device.type == "cpu" and not torch.compiler.is_compiling():
            y.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        return y

    def parts(self) -> list[list[nn.Module]]:
        """Return the stem, then each block."""
        return [[self._conv_stem, self._bn0], *([block] for block in self._blocks)]

    # An exporter folds norms itself, and traces the plain form.

    def _measuring(self) -> bool:
        return not self.training and not torch.is_grad_enabled() and not torch.compiler.is_compiling()

    def _folds(self, block: int) -> bool:
        return block < self.frozen and not torch.compiler.is_exporting()


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, never below 90 % of `channels`.

    >>> [round_channels(1.1 * c) for c in (16, 24, 40, 80, 112, 192, 320)]
    [16, 24, 48, 88, 120, 208, 352]
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _blocks(width: float, depth: float) -> list[InvertedBottleneck]:
    plan: list[tuple[int, int, int, int]] = []
    for i, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
        scaled = repeats if i in (0, len(STAGES) - 1) else math.ceil(repeats * depth)
        plan += [(kernel, stride if r == 0 else 1, expansion, round_channels(outputs * width)) for r in range(scaled)]
    channels = pairwise([STEM, *(outputs for *_, outputs in plan)])
    return [
        InvertedBottleneck(pair, kernel, stride, expansion) for pair, (kernel, stride, expansion, _) in zip(channels, plan, strict=True)
    ]


def _stride_ends(blocks: nn.ModuleList) -> dict[int, int]:
    ends, stride = {}, 2
    for i, block in enumerate(blocks):
        if block.stride == 2:
            ends[i - 1], stride = stride, stride * 2
    ends[len(blocks) - 1] = stride
    return {i: s for i, s in ends.items() if s >= 4}


def _outputs(block: nn.Module) -> int:
    convolution = block._project_conv
    assert isinstance(convolution, SameConv2d)
    return convolution.out_channels


def _same_padding(side: int, kernel: int) -> tuple[int, int]:
    # ceil(side / 2) windows at stride 2; the odd zero goes after.
    total = max((math.ceil(side / 2) - 1) * 2 + kernel - side, 0)
    return total // 2, total - total // 2


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _normed(convolution: SameConv2d, norm: nn.BatchNorm2d, x: Tensor, fold: bool) -> Tensor:
    return convolution.folded(x, norm) if fold else norm(convolution(x))


def _fold(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    # Done anew at each call: a few thousand numbers beside a film's millions, and nothing to go stale after a load or a move.
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


def _relu6(x: Tensor) -> Tensor:
    return functional.hardtanh(x, 0.0, 6.0, inplace=True)


def _channels_last(gradient: Tensor) -> Tensor:
    # An average over the film sends its gradient back in another order, which the normalisation below takes ten times as long to read.
    return gradient.contiguous(memory_format=torch.channels_last)
