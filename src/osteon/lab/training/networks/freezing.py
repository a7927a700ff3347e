"""A backbone whose first blocks can stay as they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from torch import nn


class Freezable(nn.Module):
    """What DenseNet and EfficientNet-Lite share.

    Attributes:
        frozen: How many blocks stay as they came, the stem with them.
    """

    frozen = 0

    def parts(self) -> Sequence[Sequence[nn.Module]]:
        """Return the modules of the stem, then those of each block, in the order in which a film passes them."""
        raise NotImplementedError

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first blocks as they are: no gradient, BatchNorm keeps its statistics in training mode too.

        Args:
            blocks: How many; 0 frees everything.

        Raises:
            ValueError: there are fewer blocks.
        """
        most = len(self.parts()) - 1
        if not 0 <= blocks <= most:
            raise ValueError(f"{blocks} blocks cannot be frozen, the network has {most}")
        self.requires_grad_(True)
        self.frozen = blocks
        for module in self._fixed():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, in which the frozen part stays in evaluation mode."""
        super().train(mode)
        for module in self._fixed():
            module.eval()
        return self

    def _fixed(self) -> list[nn.Module]:
        return [module for part in self.parts()[: 1 + self.frozen] for module in part] if self.frozen else []
