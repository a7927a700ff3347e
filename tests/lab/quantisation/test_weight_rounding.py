"""Weights rounded for what they see: nearer to the float32 layer than the nearest steps are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from made_network import make_network
from osteon.card import Card
from osteon.errors import ModelFileError
from osteon.lab.quantisation.cost import Answers
from osteon.lab.quantisation.ranges import round_network
from osteon.lab.quantisation.weight_rounding import STEPS, round_weights, rounded
from osteon.model import Model
from osteon.network import compile_network, open_network
from osteon.precision import Ranges, Weights, folded, quantise


def films(n: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (n, 64, 64), dtype=np.uint8)


def opened(file: Path, ranges: Ranges | None = None) -> tuple[Card, object]:
    card, network = open_network(file.read_bytes(), "made")
    folded(network)
    if ranges is not None:
        quantise(network, ranges)
    return card, network


def answers(file: Path, ranges: Ranges | None) -> Answers:
    card, network = opened(file, ranges)
    return Answers(*Model(card, compile_network(network)).run(films()[:16]))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_network(tmp_path_factory.mktemp("rounding") / "made.onnx")


@pytest.fixture(scope="module")
def both(file: Path) -> tuple[Ranges, Ranges]:
    """The ranges of NNCF, with weights on the nearest steps, and the same with weights rounded for what they see."""
    network = opened(file)[1]
    nearest = round_network(network, films())  # type: ignore[arg-type]
    return nearest, round_weights(network, nearest, films()[:8])  # type: ignore[arg-type]


def weights(rows: int = 20, inputs: int = 30) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(rows, inputs))


def test_inputs_that_have_nothing_to_do_with_each_other_leave_the_nearest_step() -> None:
    values, step = rounded(weights(), np.eye(30))
    np.testing.assert_array_equal(values, np.rint(weights() / step[:, None]))
    np.testing.assert_allclose(step, np.abs(weights()).max(1) / STEPS)
    assert values.dtype == np.int8 and np.abs(values).max() == STEPS


@pytest.mark.parametrize("own", [False, True])
def test_what_inputs_share_is_made_up_for(own: bool) -> None:
    draw = np.random.default_rng(2)
    seen = draw.normal(size=(20 if own else 1, 500, 4)) @ draw.normal(size=(4, 30)) + 0.05 * draw.normal(size=(20 if own else 1, 500, 30))
    moments = np.einsum("rni,rnj->rij", seen, seen) / 500
    values, step = rounded(weights(), moments if own else moments[0])

    def error(chosen: NDArray[np.float64]) -> float:
        return float(np.mean(np.einsum("rni,ri->rn", np.broadcast_to(seen, (20, 500, 30)), chosen * step[:, None] - weights()) ** 2))

    assert error(values.astype(float)) < 0.3 * error(np.rint(weights() / step[:, None]))


def test_an_input_that_is_never_seen_does_no_harm() -> None:
    moments = np.eye(30)
    moments[3] = 0
    values, _ = rounded(weights(), moments)
    assert np.isfinite(values).all()
    assert (rounded(weights(), np.zeros((30, 30)))[0] == rounded(weights(), np.eye(30))[0]).all()


def test_the_network_answers_nearer_to_float32_than_with_the_nearest_steps(file: Path, both: tuple[Ranges, Ranges]) -> None:
    float32 = answers(file, None)
    nearest, made_up = (float32.shift(answers(file, ranges)) for ranges in both)
    assert 0 < made_up < nearest


def test_rounded_weights_travel_as_text_and_lie_on_the_steps_of_their_ranges(file: Path, both: tuple[Ranges, Ranges]) -> None:
    found = Ranges.from_json(both[1].to_json())
    assert found == both[1]
    assert len(found.weights) >= 4
    grids = {layer: r for r in found.roundings for layer, port in r.inputs if port == 1}
    _, network = opened(file)
    layers = {op.get_friendly_name(): op for op in network.get_ops()}  # type: ignore[attr-defined]
    for part in found.weights:
        weights = layers[part.layer].input(1).get_source_output().get_node().data
        numbers, step = part.numbers(len(weights), weights.shape), grids[part.layer].step
        assert np.abs(numbers).max() <= STEPS
        assert np.abs(numbers * step - weights).max() <= 5 * step.max()  # made up for others, but the same weights
    before, after = answers(file, both[1]), answers(file, found)
    np.testing.assert_array_equal(before.evidence, after.evidence)
    only = found.only([found.weights[0].layer])
    assert [part.layer for part in only.weights] == [found.weights[0].layer] == [part.layer for part in only.biases]


@pytest.mark.parametrize("values", [b"", Weights.of("", np.zeros(7, np.int8)).values, Weights.of("", np.zeros(10**6, np.int8)).values])
def test_weights_that_do_not_fit_are_refused(file: Path, both: tuple[Ranges, Ranges], values: bytes) -> None:
    broken = Weights(layer=both[1].weights[0].layer, values=values)
    with pytest.raises(ModelFileError, match="INT8 form does not fit"):
        quantise(opened(file)[1], Ranges(roundings=both[1].roundings, weights=(broken,)))  # type: ignore[arg-type]


def test_weights_without_their_range_are_refused(file: Path, both: tuple[Ranges, Ranges]) -> None:
    with pytest.raises(ModelFileError, match="not the range that they are rounded over"):
        quantise(opened(file)[1], Ranges(roundings=(), weights=both[1].weights))  # type: ignore[arg-type]
