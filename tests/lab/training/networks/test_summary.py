"""A network taken apart: its stages are the network's own, with the published counts."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from osteon.errors import UsageError
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.networks.summary import Stage, Summary, summary
from osteon.lab.training.recipe import recipe


@pytest.fixture(scope="module")
def paper() -> Summary:
    return summary(recipe("paper"))


@pytest.fixture(scope="module")
def ours() -> Summary:
    return summary(recipe("osteon"))


def stage(network: Summary, name: str) -> Stage:
    [found] = [s for s in network.stages if s.name == name]
    return found


def test_densenet_has_the_published_counts(paper: Summary) -> None:
    assert paper.parameters == 12_486_145
    assert paper.flops / 1e9 == pytest.approx(13.7, abs=0.05)
    assert summary(recipe("article")).flops / 1e9 == pytest.approx(6.7, abs=0.05)


def test_a_dense_block_is_what_came_in_and_what_each_layer_added(paper: Summary) -> None:
    blocks = [s for s in paper.stages if s.kind == "dense block"]
    assert [s.layers for s in blocks] == [6, 12, 32, 32]
    assert [s.outputs.maps for s in blocks] == [256, 512, 1280, 1664]
    for block in blocks:
        assert block.pieces == (block.inputs.maps, *[32] * block.layers)
        assert sum(block.pieces) == block.outputs.maps
    assert [step.maps for step in blocks[0].steps] == [64, 128, 32]


def test_stages_follow_each_other(paper: Summary, ours: Summary) -> None:
    for network in (paper, ours):
        parts = [s for s in network.stages[1:] if s.kind not in ("pyramid", "evidence")]
        for before, after in pairwise(parts):
            if after.kind != "logit":
                assert before.outputs == after.inputs, after.name


@pytest.mark.parametrize(
    "changes",
    [
        ("network=lite0",),
        ("network=lite2", "evidence_stride=8"),
        ("network=densenet121",),
        ("network=lite1", "head=mean"),
    ],
)
def test_counts_and_evidence_are_the_real_networks(changes: tuple[str, ...]) -> None:
    settings = recipe("osteon", [*changes, "frame.size=64", "freeze=1"])
    network, real = summary(settings), Detector(settings).eval()
    assert network.parameters == sum(p.numel() for p in real.parameters())
    with torch.no_grad():
        _, evidence = real(torch.zeros(1, 64, 64, dtype=torch.uint8))
    evidence_stage = network.stages[-2]
    assert evidence_stage.kind == "evidence"
    assert (evidence_stage.outputs.height, evidence_stage.outputs.width) == tuple(evidence.shape[1:])


def test_what_is_frozen_is_told(ours: Summary) -> None:
    assert recipe("osteon").freeze == 3
    assert {s.name for s in ours.stages if s.frozen} == {"stem", "stage 1", "stage 2"}
    assert stage(summary(recipe("osteon", ["freeze=2"])), "stage 2").frozen == 1
    dense = summary(recipe("paper", ["freeze=1"]))
    assert {s.name for s in dense.stages if s.frozen} == {"stem", "dense block 1", "transition 1"}


def test_the_pyramid_says_what_it_reads(ours: Summary) -> None:
    assert stage(ours, "pyramid, stride 16").reads == ("pyramid, stride 32", "stage 5")
    assert stage(ours, "evidence").reads == ("smoothing", "widening")


def test_it_is_the_finished_models() -> None:
    read = summary(recipe("osteon", ["frame.size=128", "read_at=96"]))
    assert (read.size, read.stages[0].outputs.height) == (96, 96)


def test_an_impossible_recipe_is_refused() -> None:
    with pytest.raises(UsageError, match="freeze=17"):
        summary(recipe("osteon", ["freeze=17"]))
