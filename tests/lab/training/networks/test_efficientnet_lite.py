from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skimage
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from osteon.lab.training.networks.efficientnet_lite import EfficientNetLite, SameConv2d, Variant
from osteon.lab.training.networks.weights import load_first_weights, packaged_weights, read_weights

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(7)


def photograph(name: str, size: int) -> Tensor:
    """The middle of a photograph as the published evaluation takes it: size / (size + 32) of the shorter side, bicubic."""
    image = Image.open(PHOTOGRAPHS / name).convert("RGB")
    side = int(size / (size + 32) * min(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float()


def randomised(network: EfficientNetLite) -> EfficientNetLite:
    """Statistics and scales as after training, so that folding them is no matter of ones and zeros."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def plain(network: EfficientNetLite, x: Tensor) -> dict[int, Tensor]:
    with torch.enable_grad():
        return {stride: features.detach() for stride, features in network(x).items()}


@pytest.mark.parametrize(("variant", "size"), [("lite0", 224), ("lite2", 260)])
@pytest.mark.parametrize(("name", "classes"), [("chelsea.png", {281, 282, 285}), ("coffee.png", {967})])
def test_classifies_a_photograph_as_imagenet_names_it(variant: Variant, size: int, name: str, classes: set[int]):
    # Tabby, tiger cat, Egyptian cat; espresso. With other padding or normalisation the certainty falls.
    network = EfficientNetLite(variant).eval()
    load_first_weights(network, variant, "imagenet", offline=True)
    published, _ = read_weights(*packaged_weights(variant))
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (network.mean, network.std))
    with torch.no_grad():
        features = network((photograph(name, size) - mean) / std)[32]
    chances = functional.linear(features.mean((2, 3)), published["_fc.weight"], published["_fc.bias"]).softmax(1)[0]
    assert int(chances.argmax()) in classes
    assert float(chances[list(classes)].sum()) > 0.8


@pytest.mark.parametrize(
    ("variant", "parameters", "keys"), [("lite0", 4_652_008, 294), ("lite1", 5_416_680, 384), ("lite2", 6_092_072, 384)]
)
def test_sizes_are_the_published_ones(variant: Variant, parameters: int, keys: int):
    network = EfficientNetLite(variant)
    assert sum(p.numel() for p in network.parameters()) + 1280 * 1000 + 1000 == parameters
    assert len(network.state_dict()) == keys


@pytest.mark.parametrize("variant", ["lite0", "lite1", "lite2"])
@pytest.mark.parametrize("shape", [(64, 64), (75, 50)])
def test_features_have_the_promised_channels_and_sides(variant: Variant, shape: tuple[int, int]):
    network = EfficientNetLite(variant).eval()
    features = network(torch.randn(1, 3, *shape))
    sides = {s: (1, network.channels[s], -(-shape[0] // s), -(-shape[1] // s)) for s in (4, 8, 16, 32)}
    assert {s: tuple(f.shape) for s, f in features.items()} == sides
    assert network.channels[32] == 1280


def same_by_definition(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """TensorFlow's SAME, written out: ceil(side / stride) windows, the zeros split evenly, the odd one after."""
    kernel, sides = weight.shape[-1], [-(-side // stride) for side in x.shape]
    total = [max((o - 1) * stride + kernel - side, 0) for o, side in zip(sides, x.shape, strict=True)]
    padded = np.pad(x, [(t // 2, t - t // 2) for t in total])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))[::stride, ::stride]
    return np.einsum("abij,ij->ab", windows, weight)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (8, 11), (7, 6), (2, 3)])
def test_padding_is_tensorflows_same(kernel: int, stride: int, shape: tuple[int, int]):
    convolution = SameConv2d(1, 1, kernel, stride)
    norm = nn.BatchNorm2d(1).eval()
    x = torch.randn(1, 1, *shape)
    expected = same_by_definition(x[0, 0].numpy(), convolution.weight.detach()[0, 0].numpy(), stride)
    with torch.no_grad():
        np.testing.assert_allclose(convolution(x)[0, 0].numpy(), expected, atol=1e-5)
        np.testing.assert_allclose(convolution.folded(x, norm)[0, 0].numpy(), expected / np.sqrt(1 + norm.eps), atol=1e-5)


def test_the_whole_film_s_gradient_reaches_the_head_channels_last():
    network = EfficientNetLite()
    seen = []
    features = network(torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last))[32]
    features.grad_fn.register_prehook(lambda gradients: seen.append(gradients[0]))
    features.mean((2, 3)).sum().backward()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [64, 75])
def test_folded_evaluation_equals_the_plain_one(side: int):
    network = EfficientNetLite()
    load_first_weights(network, "lite0", "imagenet", offline=True)
    network.eval()
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        folded = network(x)
    for stride, features in plain(network, x).items():
        # 1e-5 of the features' own range: float32 keeps no more through 50 layers.
        torch.testing.assert_close(folded[stride], features, rtol=0, atol=1e-5 * float(features.abs().max()))


def test_frozen_part_gives_the_same_features_without_gradients():
    network = randomised(EfficientNetLite()).eval()
    x = torch.randn(2, 3, 64, 64)
    expected = plain(network, x)
    before = set(network.state_dict())
    network.freeze(5)
    features = network(x)
    for stride in (4, 8, 16, 32):
        torch.testing.assert_close(features[stride], expected[stride], rtol=1e-4, atol=1e-4)
    assert [features[s].requires_grad for s in (4, 8, 16, 32)] == [False, False, True, True]
    assert set(network.state_dict()) == before


def test_freezing_survives_train_and_keeps_statistics():
    network = EfficientNetLite()
    network.freeze(3)
    network.eval().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    sum(f.mean() for f in network(torch.randn(2, 3, 64, 64)).values()).backward()
    frozen = ("_conv_stem.", "_bn0.", "_blocks.0.", "_blocks.1.", "_blocks.2.")
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen), name
    for key, value in network.state_dict().items():
        if "running_mean" in key:
            assert torch.equal(value, before[key]) == key.startswith(frozen), key


def test_freezing_nothing_frees_everything_again():
    network = EfficientNetLite()
    network.freeze(4)
    network.freeze(0)
    assert all(p.requires_grad for p in network.parameters())
    assert all(module.training for module in network.modules())
    with pytest.raises(ValueError, match="17 blocks"):
        network.freeze(17)


def test_no_frozen_block_is_left_behind_by_new_weights():
    network = randomised(EfficientNetLite())
    network.freeze(16)
    x = torch.randn(1, 3, 64, 64)
    first = network(x)[4]
    network.load_state_dict(randomised(EfficientNetLite()).state_dict())
    assert not torch.allclose(network(x)[4], first)


@pytest.mark.parametrize("side", [32, 37])
def test_exports_to_onnx_with_the_same_answer(side: int):
    # Two layers at stride 2 hold all that is special; the whole network's export is tested with the model file.
    network = randomised(EfficientNetLite()).eval()
    x = torch.randn(2, 3, side, side)
    layers = nn.Sequential(network._conv_stem, network._bn0, *network._blocks[:2]).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own
        program = torch.onnx.export(layers, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=1)},), dynamo=True, verbose=False)
        expected = layers(x)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(answer, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [64, 65])
def test_one_channel_stands_for_three_that_are_alike(size: int) -> None:
    network = randomised(EfficientNetLite("lite0")).eval()
    grey = torch.randn(2, 1, size, size)
    with torch.enable_grad():  # as it is exported, no norm folded
        three, one = network(grey.expand(-1, 3, -1, -1).contiguous()), network(grey)
    for stride, features in three.items():
        torch.testing.assert_close(one[stride], features, atol=1e-3, rtol=1e-3)
