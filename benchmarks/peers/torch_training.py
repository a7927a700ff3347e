"""A training step as a script has it: EfficientNet-Lite0 with nothing frozen, AdamW, cross-entropy of the logit, eager float32.

MODEL is the order of the memory: "contiguous", PyTorch's own, or "channels_last". What is timed is one step on a batch of random films.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from peer import Network, main
from torch import Tensor, nn
from torch.nn import functional

BATCH = 16
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))


def opened(model: str, side: int) -> Network:
    """Return a step that ignores the film it is given: its batch was drawn once."""
    torch.manual_seed(0)
    network = Lite0().to(memory_format=FORMATS[model]).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), 4e-4)
    films = torch.randint(0, 256, (BATCH, side, side), dtype=torch.uint8)
    labels = torch.randint(0, 2, (BATCH,)).float()

    def step(_: NDArray[np.uint8]) -> float:
        image = ((films.float() - 127) / 128)[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=FORMATS[model])
        loss = functional.binary_cross_entropy_with_logits(network(image), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step


class Lite0(nn.Module):
    """EfficientNet-Lite0 with one output, in plain layers."""

    def __init__(self) -> None:
        super().__init__()
        plan = [(k, stride if r == 0 else 1, e, out) for repeats, k, stride, e, out in STAGES for r in range(repeats)]
        sides = pairwise([32, *(out for *_, out in plan)])
        self.stem = layer(3, 32, 3, 2)
        self.blocks = nn.ModuleList(block(a, b, *shape[:3]) for (a, b), shape in zip(sides, plan, strict=True))
        self.head = layer(320, 1280)
        self.output = nn.Linear(1280, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (n,) of images (n, 3, S, S)."""
        x = self.stem(image)
        for one in self.blocks:
            y = one(x)
            x = x + y if x.shape == y.shape else y
        logit: Tensor = self.output(self.head(x).mean((2, 3)))[:, 0]
        return logit


def block(inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> nn.Sequential:
    """Return an inverted bottleneck without its sum."""
    wide = inputs * expansion
    expand = [layer(inputs, wide)] if expansion > 1 else []
    return nn.Sequential(*expand, layer(wide, wide, kernel, stride, wide), layer(wide, outputs, last=True))


def layer(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, last: bool = False) -> nn.Sequential:
    """Return convolution, normalisation and, but for the last of a block, ReLU6; an even side at stride 2 is padded as TensorFlow does."""
    before, after = ((kernel - stride) // 2, (kernel - stride + 1) // 2)
    padding = [nn.ZeroPad2d((before, after, before, after))] if stride == 2 else []
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)
    return nn.Sequential(*padding, convolution, nn.BatchNorm2d(outputs, 1e-3, 0.01), *([] if last else [nn.ReLU6(inplace=True)]))


if __name__ == "__main__":
    main(opened)
