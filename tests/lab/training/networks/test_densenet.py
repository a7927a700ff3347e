from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.lab.training.networks.densenet import DenseNet, Variant


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(7)


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.named_buffers()}


def randomised(network: DenseNet) -> DenseNet:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def by_the_paper(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """DenseNet in evaluation mode from nothing but a state dict with torchvision's names, a growing tensor instead of a list."""

    def norm(name: str, y: Tensor) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / torch.sqrt(var + 1e-5)
        return torch.relu((y - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None])

    x = norm("features.norm0", functional.conv2d(x, state["features.conv0.weight"], stride=2, padding=3))
    x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for b in range(1, 5):
        layers = {int(m[1]) for key in state if (m := re.match(rf"features\.denseblock{b}\.denselayer(\d+)\.", key))}
        for layer in range(1, len(layers) + 1):
            name = f"features.denseblock{b}.denselayer{layer}"
            y = functional.conv2d(norm(f"{name}.norm1", x), state[f"{name}.conv1.weight"])
            y = functional.conv2d(norm(f"{name}.norm2", y), state[f"{name}.conv2.weight"], padding=1)
            x = torch.cat([x, y], dim=1)
        if b < 4:
            x = functional.conv2d(norm(f"features.transition{b}.norm", x), state[f"features.transition{b}.conv.weight"])
            x = functional.avg_pool2d(x, 2)
    return norm("features.norm5", x)


@pytest.mark.parametrize(
    ("variant", "parameters", "learned"),
    [("densenet121", 7_978_856, 364), ("densenet169", 14_149_480, 508), ("densenet201", 20_013_928, 604)],
)
def test_sizes_are_the_published_ones(variant: Variant, parameters: int, learned: int):
    # torchvision's own counts, with ImageNet's 1,000 classes; `learned` tensors are those and the classifier's two.
    network = DenseNet(variant)
    assert sum(p.numel() for p in network.parameters()) + network.channels[32] * 1000 + 1000 == parameters
    assert len(list(network.parameters())) + 2 == learned


def test_densenet169_with_one_output_has_12_486_145_parameters():
    network = DenseNet("densenet169")
    assert sum(p.numel() for p in [*network.parameters(), *nn.Linear(network.channels[32], 1).parameters()]) == 12_486_145


def test_names_are_torchvisions():
    names = set(DenseNet("densenet121").state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"features.conv0.weight"} | {f"features.{n}.{k}" for n in ("norm0", "norm5") for k in norm}
    for b, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in (f"features.denseblock{b}.denselayer{i + 1}" for i in range(layers)):
            expected |= {f"{layer}.{c}.weight" for c in ("conv1", "conv2")} | {f"{layer}.{n}.{k}" for n in ("norm1", "norm2") for k in norm}
        if b < 4:
            expected |= {f"features.transition{b}.conv.weight"} | {f"features.transition{b}.norm.{k}" for k in norm}
    assert names == expected


@pytest.mark.parametrize("variant", ["densenet121", "densenet169"])
def test_computes_what_the_paper_says(variant: Variant):
    network = randomised(DenseNet(variant)).eval()
    x = torch.randn(2, 3, 64, 80)
    with torch.no_grad():
        features = network(x)[32]
        expected = by_the_paper(network.state_dict(), x)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("variant", ["densenet121", "densenet169", "densenet201"])
def test_features_have_the_promised_channels_and_sides(variant: Variant):
    network = DenseNet(variant).eval()
    with torch.no_grad():
        features = network(torch.randn(1, 3, 64, 96))
    assert {s: tuple(f.shape) for s, f in features.items()} == {s: (1, network.channels[s], 64 // s, 96 // s) for s in (4, 8, 16, 32)}
    assert all(float(f.min()) >= 0 for f in features.values())


def test_freezing_survives_train_and_keeps_statistics():
    network = DenseNet("densenet121")
    network.freeze(2)
    network.eval().train()
    before = statistics(network)
    features = network(torch.randn(2, 3, 64, 64))
    assert [features[s].requires_grad for s in (4, 8, 16, 32)] == [False, False, True, True]
    sum(f.mean() for f in features.values()).backward()
    frozen = tuple(f"features.{part}." for part in ("conv0", "norm0", "denseblock1", "transition1", "denseblock2", "transition2"))
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen), name
    for name, value in statistics(network).items():
        assert torch.equal(value, before[name]) == name.startswith(frozen), name


def test_freezing_nothing_frees_everything_again():
    network = DenseNet("densenet121")
    network.freeze(4)
    assert not any(p.requires_grad for p in network.parameters())
    network.freeze(0)
    assert all(p.requires_grad for p in network.parameters())
    assert all(module.training for module in network.modules())
    with pytest.raises(ValueError, match="5 blocks"):
        network.freeze(5)
