"""A model file's weights back in torch: the same answers, and norms that know what they see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from made_index import made_films
from osteon.card import Card, Frame, Pooling
from osteon.errors import ModelFileError
from osteon.lab.data.store import open_store
from osteon.lab.training.batches import TrainingFilms
from osteon.lab.training.export import write_model
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.start.agreement import TOLERANCE, check_model
from osteon.lab.training.start.from_onnx import MEASURED_FILMS, fill, give_norms, head_of
from osteon.model_names import find_model
from osteon.opening import load_model
from tiny_training import one_thread

PACKAGED = Path(str(find_model()))
CARD = load_model(PACKAGED, "float32").card
FITTING = recipe("osteon", ["evidence_stride=8"])


@pytest.fixture
def graph() -> onnx.GraphProto:
    return onnx.load(str(PACKAGED)).graph


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> TrainingFilms:
    """As many made films of 64 pixels as are measured."""
    folder = tmp_path_factory.mktemp("films")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTEON_CACHE", str(folder))
        store = open_store(made_films(folder, {"train": MEASURED_FILMS}), Frame(size=64), lambda *_: None)
    return TrainingFilms(store, FITTING, pl.DataFrame())


def answers(detector: Detector, films: TrainingFilms) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.no_grad():
        logit, evidence = detector(films.take(np.arange(len(films))).image)
    return logit.numpy(), evidence.numpy()


def filled(graph: onnx.GraphProto, recipe: Recipe = FITTING, pooling: Pooling = CARD.pooling) -> tuple[Detector, tuple[str, ...]]:
    detector = Detector(recipe)
    folded = fill(detector, graph, pooling)
    return detector.eval(), folded


def test_the_packaged_model_answers_in_torch_as_its_file_does(graph: onnx.GraphProto) -> None:
    assert head_of(graph) == {"head": "pyramid", "evidence_stride": 8}
    detector, folded = filled(graph)
    assert len(folded) == sum(isinstance(m, nn.BatchNorm2d) for m in detector.modules()) == 49
    assert check_model(detector, PACKAGED) < TOLERANCE / 4  # sums in another order; 1.1e-4 with AVX-512


def test_norms_change_no_answer_and_know_their_statistics(graph: onnx.GraphProto, films: TrainingFilms) -> None:
    with one_thread():
        detector, folded = filled(graph)
        before = answers(detector, films)
        give_norms(detector, folded, films)
        for told, was in zip(answers(detector, films), before, strict=True):
            np.testing.assert_allclose(told, was, atol=TOLERANCE)
        assert np.ptp(before[0]) > 0.1  # films that differ, or agreement would say nothing
        assert detector.backbone.frozen == FITTING.freeze and not detector.backbone._conv_stem.weight.requires_grad  # type: ignore[union-attr]

        # A batch of just these films has just these statistics, in every layer: the first step of a training sees the network as it was.
        detector.backbone.freeze(0)
        detector.train()
        detector.head.eval()
        for told, was in zip(answers(detector, films), before, strict=True):
            np.testing.assert_allclose(told, was, atol=0.02)


def test_nothing_folded_nothing_done(films: TrainingFilms) -> None:
    detector = Detector(FITTING)
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    give_norms(detector, (), films)
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())


# What is another network


def without_last_convolution(graph: onnx.GraphProto) -> None:
    graph.node.remove([n for n in graph.node if n.op_type == "Conv" and not n.name.startswith("guard/")][-1])


def with_one_more(graph: onnx.GraphProto) -> None:
    graph.node.append(next(n for n in graph.node if n.op_type == "Gemm"))


def with_another_shape(graph: onnx.GraphProto) -> None:
    weight = next(w for w in graph.initializer if w.name == "head.smooth.weight")
    weight.CopyFrom(numpy_helper.from_array(np.zeros((128, 128, 1, 1), np.float32), weight.name))


def with_made_weights(graph: onnx.GraphProto) -> None:
    graph.initializer.remove(next(w for w in graph.initializer if w.name == "head.smooth.weight"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (without_last_convolution, r"head\.fine\.cell\.weight is \(1, 32, 1, 1\) in the network and \(1, 1280\) in the file"),
        (with_one_more, "there is a Gemm layer more than the network has"),
        (with_another_shape, r"head\.smooth\.weight is \(128, 128, 3, 3\) in the network and \(128, 128, 1, 1\) in the file"),
        (with_made_weights, r"the weights head\.smooth\.weight of node_conv2d_51 are no constants"),
    ],
)
def test_another_network_is_refused(graph: onnx.GraphProto, change: Callable[[onnx.GraphProto], None], line: str) -> None:
    change(graph)
    with pytest.raises(ModelFileError, match=line):
        filled(graph)


def test_a_larger_network_is_refused(graph: onnx.GraphProto) -> None:
    with pytest.raises(ModelFileError, match="in the network and"):
        filled(graph, recipe("osteon", ["network=lite2"]))


# Every head and family; to trace a network takes ten seconds and more


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "changes", "norms"),
    [
        ("paper", ("network=lite0", "freeze=2"), 49),
        ("osteon", ("network=lite2", "freeze=0", "evidence_stride=8"), 64),
        ("osteon", ("pooling.kind=top-k", "pooling.share=0.2"), 49),
        ("paper", ("network=densenet121", "freeze=1"), 59),  # the norms before the convolutions stay norms in the file
    ],
)
def test_each_export_comes_back(tmp_path: Path, films: TrainingFilms, name: str, changes: tuple[str, ...], norms: int) -> None:
    chosen = recipe(name, [*changes, "frame.size=64"])
    network = drawn(chosen)
    bias = float(network.head.bias.detach())
    pooling = msgspec.structs.replace(chosen.pooling, bias=bias)
    card = Card(name="made", version="1.0.0", frame=chosen.frame, pooling=pooling, network=chosen.network)
    write_model(network, card, tmp_path / "made.onnx")
    graph = onnx.load(tmp_path / "made.onnx").graph
    assert head_of(graph)["head"] == chosen.head
    with one_thread():
        detector, folded = filled(graph, chosen, pooling)
        assert len(folded) == norms
        assert check_model(detector, tmp_path / "made.onnx") < TOLERANCE
        for told, was in zip(answers(detector, films), answers(network, films), strict=True):
            np.testing.assert_allclose(told, was, atol=TOLERANCE)
        give_norms(detector, folded, films)
        for told, was in zip(answers(detector, films), answers(network, films), strict=True):
            np.testing.assert_allclose(told, was, atol=TOLERANCE)
    kept = [key for key, value in detector.state_dict().items() if same(value, network.state_dict()[key])]
    assert {f"head.{key}" for key in network.head.state_dict()} <= set(kept)


def same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-7)


def drawn(recipe: Recipe) -> Detector:
    """A detector whose norms and head are not as they begin."""
    torch.manual_seed(0)
    detector = Detector(recipe)
    with torch.no_grad():
        for module in detector.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.weight.uniform_(0.5, 1.5), module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.3), module.running_var.uniform_(0.5, 2)
        for parameter in detector.head.parameters():
            parameter.normal_(0, 0.05)
    return detector.eval()
