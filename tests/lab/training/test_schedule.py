"""The rate against its formulas, the optimizer's groups, and the weights' moving average against a plain loop."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from osteon.lab.training.recipe import OSTEON, PAPER
from osteon.lab.training.schedule import average, optimizer, rate


def test_plateau_divides_by_ten_at_each_fall() -> None:
    assert [rate(PAPER, fraction, falls) for falls in range(4) for fraction in (0.0, 1.0)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_cosine_with_warm_up() -> None:
    recipe = msgspec.structs.replace(OSTEON, warmup=0.1)
    told = [rate(recipe, fraction, 3) for fraction in (0, 0.05, 0.1, 0.325, 0.55, 0.775, 1.0)]
    assert told == pytest.approx([0, 0.5, 1, 0.5 + math.sqrt(0.5) / 2, 0.5, 0.5 - math.sqrt(0.5) / 2, 0], abs=1e-12)


@given(fraction=st.floats(0, 1), warmup=st.floats(0, 0.99))
def test_cosine_stays_within_its_range(fraction: float, warmup: float) -> None:
    assert 0 <= rate(msgspec.structs.replace(OSTEON, warmup=warmup), fraction, 0) <= 1


@given(st.lists(st.floats(0, 1), min_size=2))
def test_after_the_warm_up_the_cosine_only_falls(fractions: list[float]) -> None:
    told = [rate(msgspec.structs.replace(OSTEON, warmup=0), fraction, 0) for fraction in sorted(fractions)]
    assert told == sorted(told, reverse=True)


class Small(nn.Module):
    """A backbone and a head, with a frozen layer and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3))
        self.head = nn.Linear(2, 1)
        self.backbone[2].requires_grad_(False)


def test_the_optimizer_s_groups() -> None:
    network = Small()
    recipe = msgspec.structs.replace(OSTEON, learning_rate=0.1, head_learning_rate=0.3, weight_decay=0.02)
    groups = {id(p): (g["base"], g["weight_decay"]) for g in optimizer(network, recipe).param_groups for p in g["params"]}
    conv, norm, _ = network.backbone
    assert groups == {
        id(conv.weight): (0.1, 0.02),
        id(conv.bias): (0.1, 0.0),
        id(norm.weight): (0.1, 0.0),
        id(norm.bias): (0.1, 0.0),
        id(network.head.weight): (0.3, 0.02),
        id(network.head.bias): (0.3, 0.0),
    }


@pytest.mark.parametrize(("recipe", "kind"), [(PAPER, torch.optim.Adam), (OSTEON, torch.optim.AdamW)])
def test_the_optimizer_is_the_recipe_s(recipe: object, kind: type) -> None:
    chosen = optimizer(Small(), recipe)  # type: ignore[arg-type]
    assert type(chosen) is kind
    assert all(group["betas"] == (0.9, 0.999) for group in chosen.param_groups)


def test_the_moving_average_is_that_of_a_plain_loop() -> None:
    network, draw = nn.BatchNorm2d(3), torch.Generator().manual_seed(0)
    mean = {key: value.clone() for key, value in network.state_dict().items()}
    reference = {key: value.double().numpy() for key, value in mean.items()}
    for step in range(200):
        for value in network.state_dict().values():
            value.copy_(torch.full_like(value, step) if value.ndim == 0 else torch.randn(value.shape, generator=draw))
        average(mean, network.state_dict(), 0.95, step)
        decay = min(0.95, (1 + step) / (10 + step))
        for key, value in network.state_dict().items():
            reference[key] = value.numpy() if value.ndim == 0 else decay * reference[key] + (1 - decay) * value.double().numpy()
    for key, value in mean.items():
        np.testing.assert_allclose(value.numpy(), reference[key], rtol=1e-5, atol=1e-6)
    assert mean["num_batches_tracked"] == 199 and mean["num_batches_tracked"].dtype == torch.int64


def test_the_moving_average_is_a_copy() -> None:
    network = nn.Linear(1, 1)
    mean = {key: value.clone() for key, value in network.state_dict().items()}
    average(mean, network.state_dict(), 0.9, 0)
    kept = mean["weight"].item()
    with torch.no_grad():
        network.weight += 1
    assert mean["weight"].item() == kept
