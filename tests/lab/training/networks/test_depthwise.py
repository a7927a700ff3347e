"""The quick depthwise layer gives torch's own numbers, forward and backward; it is taken only where it is quicker."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from osteon.lab.training.networks.depthwise import depthwise, late, pays
from osteon.lab.training.networks.efficientnet_lite import EfficientNetLite, SameConv2d, _same_padding

ROUNDING = 2**-8  # of bfloat16, to the nearest
SHAPES = [(8, 8), (9, 11), (7, 6), (2, 3), (20, 20), (1, 1)]


def leaf(*shape: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return drawn.contiguous(memory_format=torch.channels_last).requires_grad_()


def by_torch(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """SAME as TensorFlow pads, by torch's own convolution of a padded copy."""
    kernel = weight.shape[-1]
    sides = [_same_padding(side, kernel) if stride == 2 else (kernel // 2, kernel // 2) for side in x.shape[2:]]
    (top, bottom), (left, right) = sides
    return functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, None, stride, groups=len(weight))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_numbers_are_torch_s(kernel: int, stride: int, shape: tuple[int, int]) -> None:
    # In float64, where another order of the sums shows nowhere.
    x, weight = (t.detach().double().requires_grad_() for t in (leaf(3, 16, *shape), leaf(16, 1, kernel, kernel, seed=1)))
    expected = by_torch(x, weight, stride)
    given = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    wanted = torch.autograd.grad(expected, (x, weight), given)
    answer = depthwise(x, weight, stride)
    torch.testing.assert_close(answer, expected)
    torch.testing.assert_close(torch.autograd.grad(answer, (x, weight), given), wanted)


@pytest.mark.parametrize("stride", [1, 2])
def test_float32_keeps_its_precision_and_order(stride: int) -> None:
    x, weight = leaf(16, 144, 20, 20), leaf(144, 1, 5, 5, seed=1)
    answer = depthwise(x, weight, stride)
    assert answer.is_contiguous(memory_format=torch.channels_last)
    given = torch.randn_like(answer)
    ours, torchs = (torch.autograd.grad(y, (x, weight), given) for y in (answer, by_torch(x, weight, stride)))
    for mine, theirs in zip(ours, torchs, strict=True):
        assert float((mine - theirs).abs().max()) < 1e-5 * float(theirs.abs().max())
    assert ours[1].stride() == weight.stride()  # DistributedDataParallel's buckets want the weight's own


def test_the_same_bits_twice() -> None:
    x, weight = leaf(4, 32, 20, 20), leaf(32, 1, 5, 5, seed=1)
    first, again = (torch.autograd.grad(depthwise(x, weight, 2).square().sum(), (x, weight)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_film_that_needs_no_gradient_gets_none() -> None:
    x, weight = leaf(2, 8, 10, 10).detach(), leaf(8, 1, 5, 5, seed=1)
    depthwise(x, weight, 1).sum().backward()
    assert x.grad is None and weight.grad is not None


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (5, 2), (3, 2)])
def test_bfloat16_costs_its_rounding_alone(kernel: int, stride: int) -> None:
    leaves = leaf(8, 48, 20, 20), leaf(48, 1, kernel, kernel, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        answer = depthwise(*leaves, stride)
    assert answer.dtype == torch.bfloat16 and answer.is_contiguous(memory_format=torch.channels_last)
    given = torch.randn(answer.shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    exact = tuple(t.detach().bfloat16().double().requires_grad_() for t in leaves)
    expected = by_torch(*exact, stride)
    ours, wanted = torch.autograd.grad(answer, leaves, given), torch.autograd.grad(expected, exact, given.double())
    for mine, theirs in zip((answer.detach(), *ours), (expected.detach(), *wanted), strict=True):
        assert float((mine - theirs).abs().max()) < ROUNDING * float(theirs.abs().max())
    assert [g.dtype for g in ours] == [torch.float32, torch.float32] and ours[1].stride() == leaves[1].stride()


def test_where_it_is_taken() -> None:
    x, five, three, dense = leaf(1, 8, 10, 10), leaf(8, 1, 5, 5), leaf(8, 1, 3, 3), leaf(8, 8, 5, 5)
    assert pays(x, five, 1) and pays(x, five, 2)
    assert not pays(x, three, 2) and not pays(x, dense, 2) and not pays(x, five.detach(), 2) and not pays(x.double(), five, 2)
    assert not pays(x.to("meta"), five.to("meta"), 2)
    with torch.no_grad():
        assert not pays(x, five, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert pays(x, five, 1) and pays(x.bfloat16(), three, 2)
        assert not pays(x, three, 1) and not pays(x, dense, 2)
    with torch.autocast("cpu", torch.float16):
        assert not pays(x, five, 2)


def test_late_windows() -> None:
    assert late(torch.empty(1, 1, 8, 9), 5, 2) == [1, 0]
    assert late(torch.empty(1, 1, 8, 9), 5, 1) == late(torch.empty(1, 1, 8, 9), 1, 2) == [0, 0]


def test_a_network_s_gradients_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> list[Tensor]:
        torch.manual_seed(0)
        network = EfficientNetLite().double()
        x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
        network(x)[32].mean().backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    expected = gradients()  # float64 takes the plain way
    taken = []

    def always(x: Tensor, weight: Tensor, stride: int) -> bool:
        taken.append(weight.shape)
        return weight.shape[1] == 1

    monkeypatch.setattr("osteon.lab.training.networks.efficientnet_lite.pays", always)
    for ours, plain in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-12)
    assert any(shape[-1] == 3 for shape in taken)


def test_a_layer_takes_it_in_training_and_not_in_evaluation() -> None:
    layer = SameConv2d(8, 8, 5, 2, 8)
    x = leaf(1, 8, 10, 10)
    assert "Depthwise" in layer(x).grad_fn.name()
    with torch.no_grad():
        assert layer(x).grad_fn is None
