"""`pool(evidence) + bias == logit`, for both heads, both poolings and the ensemble; the first layer; what is frozen stays."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from osteon.card import Frame, Pooling
from osteon.errors import UsageError
from osteon.lab.training.networks.detector import RARE, Detector, Ensemble, pool
from osteon.lab.training.recipe import OSTEON, PAPER, Recipe
from osteon.prediction import pool_evidence

SMALL = msgspec.structs.replace(OSTEON, frame=Frame(size=64), freeze=0, dropout=0.5)
MEAN, SHARP, TOP = Pooling(kind="mean"), Pooling(kind="logsumexp", sharpness=2.0), Pooling(kind="top-k", share=0.2)
HEADS = [("mean", 32), ("pyramid", 32), ("pyramid", 16), ("pyramid", 8)]


def detector(head: str = "pyramid", stride: int = 16, pooling: Pooling = SHARP, seed: int = 0, **changes: object) -> Detector:
    """A detector whose head has drawn weights, so that every term takes part."""
    torch.manual_seed(seed)
    recipe = msgspec.structs.replace(SMALL, head=head, evidence_stride=stride, pooling=pooling, **changes)
    network = Detector(recipe)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.normal_(0, 0.3)
    return network.eval()


def films(n: int = 2, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (n, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def bias(network: Detector | Ensemble) -> float:
    """As the card takes it."""
    return network.bias if isinstance(network, Ensemble) else float(network.head.bias.detach())


def holds(network: Detector | Ensemble, pooling: Pooling, image: Tensor) -> None:
    with torch.no_grad():
        logit, evidence = network(image)
    assert logit.dtype == evidence.dtype == torch.float32 and logit.shape == (len(image),) and evidence.ndim == 3
    # pool_evidence is what a user of the file has: numpy, float64, the card's pooling.
    told = pool_evidence(evidence.numpy(), msgspec.structs.replace(pooling, bias=bias(network)))
    np.testing.assert_allclose(told, logit.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "pooling", [MEAN, SHARP, Pooling(kind="logsumexp", sharpness=0.1), TOP], ids=["mean", "logsumexp", "soft", "top-k"]
)
@pytest.mark.parametrize(("head", "stride"), HEADS)
def test_pooled_evidence_and_bias_are_the_logit(head: str, stride: int, pooling: Pooling) -> None:
    network = detector(head, stride, pooling)
    holds(network, pooling, films())
    assert network(films())[1].shape == (2, 64 // stride, 64 // stride)


@pytest.mark.parametrize("pooling", [MEAN, SHARP, TOP], ids=["mean", "logsumexp", "top-k"])
@pytest.mark.parametrize("head", ["mean", "pyramid"])
def test_so_they_are_for_an_ensemble(head: str, pooling: Pooling) -> None:
    members = [detector(head, 16, pooling, seed) for seed in range(3)]
    ensemble = Ensemble(members).eval()
    holds(ensemble, pooling, films())
    with torch.no_grad():
        logits = torch.stack([member(films())[0] for member in members])
        torch.testing.assert_close(ensemble(films())[0], logits.mean(0))


def test_an_ensemble_of_maps_of_different_fineness() -> None:
    ensemble = Ensemble([detector(stride=32), detector(stride=8, seed=1)]).eval()
    holds(ensemble, SHARP, films())
    assert ensemble(films())[1].shape == (2, 8, 8)


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(-60, 60, width=32), min_size=6, max_size=6),
    shift=st.floats(-30, 30),
    pooling=st.sampled_from([MEAN, SHARP, Pooling(kind="logsumexp", sharpness=8.0)]),
)
def test_pool_is_the_card_s_and_carries_a_constant_through(values: list[float], shift: float, pooling: Pooling) -> None:
    evidence = torch.tensor(values).reshape(1, 2, 3)
    pooled = pool(evidence, pooling)
    np.testing.assert_allclose(pooled.numpy(), pool_evidence(evidence.numpy(), pooling), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(pool(evidence + shift, pooling), pooled + shift, rtol=1e-5, atol=1e-4)
    assert evidence.min() - 1e-4 <= pooled <= evidence.max() + 1e-4


def test_log_sum_exp_pooling_s_gradient_is_the_softmax() -> None:
    evidence = torch.tensor([[[0.5, -1.0], [2.0, 0.0]]], requires_grad=True)
    pool(evidence, SHARP).sum().backward()
    torch.testing.assert_close(evidence.grad, torch.softmax(2 * evidence.detach().flatten(), 0).reshape(1, 2, 2))


def test_pooling_huge_evidence_does_not_overflow() -> None:
    assert pool(torch.full((1, 2, 2), 1e4), SHARP).item() == pytest.approx(1e4)


@pytest.mark.parametrize("network", ["lite0", "densenet121"])
def test_the_first_layer_normalises_and_repeats_the_grey_film(network: str) -> None:
    one = detector("mean", 32, MEAN, network=network)
    grey = films()
    three = torch.stack([(grey.float() - m) / s for m, s in zip(one.backbone.mean, one.backbone.std, strict=True)], 1)
    with torch.no_grad():
        features = one.backbone(three)[32]
        linear = one.head.linear
        assert isinstance(linear, nn.Linear)
        torch.testing.assert_close(one(grey)[0], linear(features.mean((2, 3)))[:, 0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one(grey.float())[0], one(grey)[0])  # training hands in float32


def test_the_paper_s_map_is_the_class_activation_map() -> None:
    one = detector("mean", 32, MEAN)
    linear = one.head.linear
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        three = ((films().float()[:, None] - 127) / 128).expand(-1, 3, -1, -1)
        cam = torch.einsum("nchw,c->nhw", one.backbone(three)[32], linear.weight[0])  # Zhou et al., CVPR 2016, equation 2
        torch.testing.assert_close(one(films())[1], cam, rtol=1e-4, atol=1e-4)


def test_boxes_supervise_the_cells_without_what_belongs_to_the_whole_film() -> None:
    one = detector()
    with torch.no_grad():
        evidence, cells = one(films())[1], one.outputs(films()).cells
    apart = evidence - cells
    torch.testing.assert_close(apart, apart[:, :1, :1].expand_as(apart), atol=1e-4, rtol=1e-4)
    assert apart.abs().max() > 1e-3


def test_the_highest_cells_alone_count() -> None:
    evidence = torch.tensor([[[0.0, 5.0], [-3.0, 4.0]]])
    assert [float(pool(evidence, Pooling(kind="top-k", share=share))) for share in (0.05, 0.25, 0.5, 1.0)] == [5.0, 5.0, 4.5, 1.5]


def test_a_new_pyramid_takes_a_finding_for_rare() -> None:
    torch.manual_seed(0)
    one = Detector(SMALL).eval()
    with torch.no_grad():
        cells = one.outputs(films()).cells
    assert abs(cells.mean() - RARE) < 2


def test_the_same_seed_gives_the_same_network() -> None:
    first, again, other = (detector(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("network", ["lite0", "densenet121"])
def test_frozen_blocks_stay_as_they_came(network: str) -> None:
    one = Detector(msgspec.structs.replace(SMALL, network=network, freeze=2)).train()
    before = {key: value.clone() for key, value in one.state_dict().items()}
    step = torch.optim.SGD([p for p in one.parameters() if p.requires_grad], 0.1)
    one(films(4))[0].sum().backward()
    step.step()
    changed = {key for key, value in one.state_dict().items() if not torch.equal(value, before[key])}
    stay = ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1.") if network == "lite0" else ("conv0", "norm0", "denseblock1.", "denseblock2.")
    prefix = "backbone." if network == "lite0" else "backbone.features."
    assert not [key for key in changed if key.startswith(tuple(prefix + s for s in stay))]
    last = "backbone._conv_head.weight" if network == "lite0" else "backbone.features.norm5.weight"
    assert last in changed


@pytest.mark.parametrize(("network", "blocks"), [("lite0", 99), ("densenet121", 5)])
def test_more_frozen_blocks_than_there_are_is_refused(network: str, blocks: int) -> None:
    with pytest.raises(UsageError, match=f"freeze={blocks}.*--set freeze"):
        Detector(msgspec.structs.replace(SMALL, network=network, freeze=blocks))


@pytest.mark.parametrize("recipe", [PAPER, OSTEON], ids=["paper", "osteon"])
def test_every_weight_that_learns_gets_a_gradient(recipe: Recipe) -> None:
    # DistributedDataParallel waits for every parameter that asks for one.
    one = Detector(msgspec.structs.replace(recipe, network="lite0" if recipe is OSTEON else "densenet121")).train()
    told = one.outputs(films())
    (told.logit.sum() + 0 * told.cells.sum()).backward()
    assert [name for name, p in one.named_parameters() if p.requires_grad and p.grad is None] == []
