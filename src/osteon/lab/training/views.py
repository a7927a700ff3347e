"""What a training without labels asks: that two views of a film say the same, and those of different films do not.

VICReg (Bardes, Ponce, LeCun, arXiv 2105.04906). Barlow Twins divides by each number's deviation over the batch, which of sixteen films is
mostly chance; VICReg does not, and its covariances part the films of a batch as a contrastive loss would (arXiv 2206.02574).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDED = 512
"""Numbers a view. The published 8192 are for batches of 2048: of n films covariances reach no less than about width / n, and weigh too
much where that is large."""

AGREEMENT, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # the paper's weights
LEAST = 1e-4  # variance: a root has no slope at zero


def projector(channels: int) -> nn.Sequential:
    """Return the paper's expander, three linear layers: averaged features (n, channels) to embeddings (n, `EMBEDDED`)."""
    layers: list[nn.Module] = []
    for width in (channels, EMBEDDED):
        layers += [nn.Linear(width, EMBEDDED), nn.BatchNorm1d(EMBEDDED), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(EMBEDDED, EMBEDDED, bias=False))


def views_loss(embedded: Tensor) -> Tensor:
    """Return the loss of a batch of n films as each film's (n,), all alike: equation 6 of the paper.

    The distance of two views is a mean over the numbers as well, as in the authors' code. The loss is 0 where both views of a film are one
    embedding, whose numbers have a deviation of 1 or more and do not go together.

    Args:
        embedded: Embeddings (2n, d) float32, the first view of each film before the second of each; n at least 2.
    """
    n, d = len(embedded) // 2, embedded.shape[1]
    views = embedded.reshape(2, n, d)
    centred = views - views.mean(1, keepdim=True)
    covariance = centred.mT @ centred / (n - 1)
    variance = covariance.diagonal(dim1=1, dim2=2)
    agreement: Tensor = F.mse_loss(views[0], views[1])
    short = F.relu(1 - (variance + LEAST).sqrt()).mean(1).sum()
    together = (covariance.square().sum((1, 2)) - variance.square().sum(1)).sum() / d
    loss = AGREEMENT * agreement + VARIANCE * short + COVARIANCE * together
    return loss.expand(n)
