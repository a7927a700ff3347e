"""DenseNet-121, -169 and -201 (Huang et al., CVPR 2017, arXiv 1608.06993) without the classifier, with torchvision's parameter names."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.lab.training.networks.freezing import Freezable

Variant = Literal["densenet121", "densenet169", "densenet201"]

LAYERS: dict[Variant, tuple[int, ...]] = {"densenet121": (6, 12, 24, 16), "densenet169": (6, 12, 32, 32), "densenet201": (6, 12, 48, 32)}
"""Layers of the four dense blocks."""

STEM, GROWTH, BOTTLENECK = 64, 32, 4
"""Channels of the first convolution, channels a layer adds, and its 1 x 1 convolution's width in multiples of that."""


class DenseLayer(nn.Module):
    """Norm, ReLU, 1 x 1, norm, ReLU, 3 x 3: `GROWTH` new channels from all the channels before."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, BOTTLENECK * GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * GROWTH)
        self.conv2 = nn.Conv2d(BOTTLENECK * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, earlier: Tensor) -> Tensor:
        """Return (n, GROWTH, h, w) from the features (n, inputs, h, w) of all layers before it."""
        narrow = self.conv1(functional.relu(self.norm1(earlier), inplace=True))
        return cast(Tensor, self.conv2(functional.relu(self.norm2(narrow), inplace=True)))


class DenseBlock(nn.Module):
    """Layers of which each sees the outputs of all before it, concatenated in the order they were made."""

    def __init__(self, inputs: int, layers: int) -> None:
        super().__init__()
        for i in range(layers):
            self.add_module(f"denselayer{i + 1}", DenseLayer(inputs + i * GROWTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, inputs + layers * GROWTH, h, w)."""
        # Each concatenation is the one before it and what is new. Exported so, OpenVINO leaves it whole in 8 bits; where each names all its
        # parts, every part is rounded anew for every layer that reads it, and the file takes ten times as long to open.
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


class Transition(nn.Module):
    """Norm, ReLU, 1 x 1 to half the channels, 2 x 2 mean."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's features, normalised and rectified, and what goes on to the next block."""
        features = functional.relu(self.norm(x), inplace=True)
        return features, functional.avg_pool2d(self.conv(features), 2)


class DenseNet(Freezable):
    """DenseNet without its classifier: a film to features at four strides.

    Attributes:
        channels: Channels of the features by stride.
        mean: Of the input, in grey levels 0 to 255, by channel (ImageNet's).
        std: Of the input, in grey levels, by channel (ImageNet's).
    """

    mean = (0.485 * 255, 0.456 * 255, 0.406 * 255)
    std = (0.229 * 255, 0.224 * 255, 0.225 * 255)

    def __init__(self, variant: Variant = "densenet169") -> None:
        """Build one of the three sizes, with random weights."""
        super().__init__()
        self.features = nn.ModuleDict({"conv0": nn.Conv2d(3, STEM, 7, 2, 3, bias=False), "norm0": nn.BatchNorm2d(STEM)})
        self.channels: dict[int, int] = {}
        width = STEM
        for i, layers in enumerate(LAYERS[variant], start=1):
            self.features[f"denseblock{i}"] = DenseBlock(width, layers)
            width += layers * GROWTH
            self.channels[2 ** (i + 1)] = width
            if i < len(LAYERS[variant]):
                self.features[f"transition{i}"] = Transition(width)
                width //= 2
        self.features["norm5"] = nn.BatchNorm2d(width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Return the features by stride, each normalised and rectified: what the next transition, or ImageNet's classifier, sees.

        Args:
            x: (n, 3, H, W) float, `(grey - mean) / std`.

        Returns:
            (n, channels[s], h, w) for s = 4, 8, 16 and 32; h and w are the sides halved four to five times, rounded up twice, then down.
        """
        outer = torch.is_grad_enabled()
        with torch.set_grad_enabled(outer and not self.frozen):
            x = functional.relu(self.features["norm0"](self.features["conv0"](x)), inplace=True)
            x = functional.max_pool2d(x, 3, 2, 1)
        features: dict[int, Tensor] = {}
        for i, stride in enumerate(self.channels, start=1):
            with torch.set_grad_enabled(outer and i > self.frozen):
                x = self.features[f"denseblock{i}"](x)
                if i < len(self.channels):
                    features[stride], x = self.features[f"transition{i}"](x)
                else:
                    features[stride] = functional.relu(self.features["norm5"](x), inplace=True)
        return features

    def parts(self) -> list[list[nn.Module]]:
        """Return the stem, then each dense block with what follows it: its transition, or the last norm."""
        modules = list(self.features.values())
        return [modules[i : i + 2] for i in range(0, len(modules), 2)]
