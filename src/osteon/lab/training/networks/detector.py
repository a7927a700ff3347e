"""The network that is trained and exported: grey film -> (logit, evidence).

Two heads, one contract: `pool(evidence) + bias == logit`. A term that belongs to the whole film is added to every cell of the
evidence before pooling, which every pooling carries through unchanged, so the identity is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from osteon.card import Pooling
from osteon.errors import UsageError
from osteon.lab.training.networks.weights import Backbone, build_backbone
from osteon.lab.training.recipe import Recipe
from osteon.prediction import highest

PYRAMID_CHANNELS = 128
REFINED = 8
"""The stride of the evidence that is a refinement of a pyramid's at twice that."""

FINE_CHANNELS = 32
RARE = -4.0  # first log-odds of an evidence cell: almost no cell lies inside a finding


def pool(evidence: Tensor, pooling: Pooling) -> Tensor:
    """Pool evidence (n, h, w) to (n,), without the bias, as the card says."""
    cells = evidence.flatten(1)
    if pooling.kind == "mean":
        return cells.mean(1)
    if pooling.kind == "top-k":
        return cells.topk(highest(cells.shape[1], pooling), dim=1).values.mean(1)
    peak = cells.amax(1, keepdim=True).detach()  # log-sum-exp around the peak: exp never overflows
    return peak[:, 0] + torch.log(torch.exp(pooling.sharpness * (cells - peak)).mean(1)) / pooling.sharpness


class MeanHead(nn.Module):
    """The paper's head: global average, one linear unit; the class activation map is an exact decomposition of the logit."""

    def __init__(self, backbone: Backbone, recipe: Recipe) -> None:
        super().__init__()
        # Dropping whole channels of the map is dropout on the averaged vector, since the average is linear.
        self.dropout = nn.Dropout2d(recipe.dropout)
        self.linear = nn.Linear(backbone.channels[32], 1)

    def forward(self, features: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Return evidence (n, h, w) for the score, and the same for supervision."""
        weight = self.linear.weight[:, :, None, None]
        evidence = F.conv2d(self.dropout(features[32]), weight)[:, 0]
        return evidence, evidence

    @property
    def bias(self) -> Tensor:
        """What is added after pooling, ()."""
        return self.linear.bias[0]


class Refinement(nn.Module):
    """Evidence at half the stride: each cell enlarged to four, and what finer features add to each of these.

    Whether there is a finding is known from the coarse cell; where in it, from features of half its stride. So few channels do: the work is
    a fiftieth of Lite0's, a pyramid at stride 8 would cost a fifth. At first nothing is added: a network with a refinement answers as
    it did without.
    """

    def __init__(self, fine_channels: int, coarse_channels: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(fine_channels, FINE_CHANNELS, 1)
        self.coarse = nn.Conv2d(coarse_channels, FINE_CHANNELS, 1)
        self.smooth = nn.Conv2d(FINE_CHANNELS, FINE_CHANNELS, 3, padding=1)
        self.cell = nn.Conv2d(FINE_CHANNELS, 1, 1)
        nn.init.zeros_(self.cell.weight)
        nn.init.zeros_(self.cell.bias)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor, cells: Tensor) -> Tensor:
        """Return cells (n, 1, 2h, 2w) from fine features (n, f, 2h, 2w), coarse ones (n, c, h, w) and their cells (n, 1, h, w)."""
        side = fine.shape[-2:]
        merged = self.lateral(fine) + F.interpolate(self.coarse(coarse), size=side, mode="nearest")
        added: Tensor = self.cell(F.relu(self.smooth(F.relu(merged))))
        return F.interpolate(cells, size=side, mode="nearest") + added


class PyramidHead(nn.Module):
    """Coarse features added to finer ones, a 3 x 3 layer, one evidence value a cell, and a linear unit on the whole film.

    The pyramid goes down to stride 16; evidence at stride 8 is its refinement.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe) -> None:
        super().__init__()
        self.strides = [stride for stride in (32, 16) if stride >= recipe.evidence_stride]
        self.lateral = nn.ModuleDict({str(s): nn.Conv2d(backbone.channels[s], PYRAMID_CHANNELS, 1) for s in self.strides})
        self.smooth = nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1)
        self.cell = nn.Conv2d(PYRAMID_CHANNELS, 1, 1)
        self.fine = Refinement(backbone.channels[REFINED], PYRAMID_CHANNELS) if recipe.evidence_stride == REFINED else None
        self.dropout = nn.Dropout(recipe.dropout)
        self.whole = nn.Linear(backbone.channels[32], 1)
        nn.init.constant_(self.cell.bias, RARE)  # type: ignore[arg-type]
        nn.init.zeros_(self.whole.weight)

    def forward(self, features: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Return evidence (n, h, w) for the score, and the cells alone, which boxes supervise."""
        merged = self.lateral["32"](features[32])
        for stride in self.strides[1:]:
            fine = self.lateral[str(stride)](features[stride])
            merged = fine + F.interpolate(merged, size=fine.shape[-2:], mode="nearest")
        smooth = F.relu(self.smooth(F.relu(merged)))
        cells = self.cell(smooth)
        if self.fine is not None:
            cells = self.fine(features[REFINED], smooth, cells)
        whole = self.whole(self.dropout(features[32].mean((2, 3))))
        return cells[:, 0] + whole[:, :, None], cells[:, 0]

    @property
    def bias(self) -> Tensor:
        """What is added after pooling: nothing, each cell has the biases of what made it."""
        return torch.zeros(())


class Outputs(NamedTuple):
    """What a training needs of a detector: logit (n,), and the cells (n, h, w) that boxes supervise."""

    logit: Tensor
    cells: Tensor


class Detector(nn.Module):
    """Backbone and head behind the first layer that makes a grey film the backbone's input."""

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.pooling = recipe.pooling
        self.backbone = build_backbone(recipe.network)
        self.head: MeanHead | PyramidHead = (MeanHead if recipe.head == "mean" else PyramidHead)(self.backbone, recipe)
        self.register_buffer("mean", torch.tensor(self.backbone.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.backbone.std).view(1, -1, 1, 1), persistent=False)
        try:
            self.backbone.freeze(recipe.freeze)
        except ValueError as fault:
            raise UsageError(f"freeze={recipe.freeze}: {fault}. Change it with --set freeze=...") from fault

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logit (n,), evidence (n, h, w)) of films (n, S, S), uint8 or float32, 0 to 255."""
        evidence, _ = self.head(self._features(image))
        return self._pooled(evidence), evidence.float()

    def outputs(self, image: Tensor) -> Outputs:
        """Return what a training needs of films (n, S, S)."""
        evidence, cells = self.head(self._features(image))
        return Outputs(self._pooled(evidence), cells.float())

    def _features(self, image: Tensor) -> dict[int, Tensor]:
        # A file keeps one channel of three that are alike: laying them out took a tenth of a film's time. torch is quicker with three.
        alike = len(set(zip(self.backbone.mean, self.backbone.std, strict=True))) == 1
        channels = 1 if alike and torch.compiler.is_exporting() else len(self.backbone.mean)
        shown = (image.to(torch.float32)[:, None] - self.mean[:, :channels]) / self.std[:, :channels]
        features: dict[int, Tensor] = self.backbone(shown.contiguous(memory_format=torch.channels_last))
        return features

    def _pooled(self, evidence: Tensor) -> Tensor:
        return pool(evidence.float(), self.pooling) + self.head.bias


class TrainingNetwork(nn.Module):
    """What a training's step calls, which torch may compile and torchrun's processes share: `Detector.outputs` as a forward."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> Outputs:
        """Return what a training needs of films (n, S, S)."""
        return self.detector.outputs(image)


class Ensemble(nn.Module):
    """Several detectors as one: mean logit, and mean evidence shifted so that it still pools to that logit."""

    def __init__(self, members: Sequence[Detector]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.bias = math.fsum(float(member.head.bias.detach()) for member in members) / len(members)  # what is added after pooling
        self.pooling = members[0].pooling

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logit (n,), evidence (n, h, w)) of films (n, S, S)."""
        logits, maps = zip(*(member(image) for member in self.members), strict=True)
        finest = max(maps, key=lambda e: e.shape[-1]).shape[-2:]
        evidence = torch.stack([F.interpolate(e[:, None], size=finest, mode="nearest")[:, 0] for e in maps]).mean(0)
        logit = torch.stack(logits).mean(0)
        shift = logit - self.bias - pool(evidence, self.pooling)
        return logit, evidence + shift[:, None, None]


def refuse_unbuildable(recipe: Recipe) -> None:
    """Refuse a recipe whose network cannot be built, without the seconds that its first weights cost.

    Raises:
        UsageError: it freezes more blocks than the network has.
    """
    with torch.device("meta"):
        Detector(recipe)
