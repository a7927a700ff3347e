"""The weights of a model file back in the network that they were exported from, so that it can learn on.

The exporter folds a norm that follows a convolution into that convolution's weights and bias: the same numbers with less work, and the
norm's scale, shift and statistics are gone. `fill` puts the folded weights into the network; `give_norms` makes real norms of them again.
Only protobuf is read (`onnx`): nothing in a model file can run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from osteon.card import Pooling
from osteon.errors import ModelFileError
from osteon.lab.training.batches import TrainingFilms
from osteon.lab.training.earlier import LAST_COMMIT
from osteon.lab.training.networks.detector import REFINED, Detector

GUARD = "guard/"
"""How the names of the nodes begin that say whether a film is in scope; they are no part of the network."""

MEASURED_FILMS, AT_ONCE = 32, 8

Layer = tuple[str, list[Tensor]]
"""A node's kind and its weights."""


def head_of(graph: onnx.GraphProto) -> dict[str, object]:
    """Return which head a network has, as settings of a recipe; the exporter keeps the names of layers that no norm follows.

    Raises:
        ModelFileError: no recipe has such a head any more.
    """
    names = [weight.name for weight in graph.initializer]
    prefix = "head.lateral."
    strides = [int(name.removeprefix(prefix).split(".")[0]) for name in names if name.startswith(prefix)]
    refined = any(name.startswith("head.fine.") for name in names)
    if not strides:
        return {"head": "mean"}
    if "head.whole.weight" not in names:
        raise ModelFileError(f"its head has no linear unit on the whole film, as branch=false made it up to commit {LAST_COMMIT}")
    return {"head": "pyramid", "evidence_stride": REFINED if refined else min(strides)}


def fill(detector: Detector, graph: onnx.GraphProto, pooling: Pooling) -> tuple[str, ...]:
    """Give a detector the weights of a graph, layer by layer in the order in which a film passes them.

    Args:
        detector: Of the graph's network and head; changed in place. In evaluation mode it then answers as the graph does.
        graph: As the exporter writes it.
        pooling: The card's; the bias of a mean head stands there alone.

    Returns:
        The names of the norms that were folded away. They change nothing but the bias now: scale 1, mean 0, variance 1.

    Raises:
        ModelFileError: the graph is another network.
    """
    layers, state, folded = deque(_layers(graph)), detector.state_dict(), []
    bias: Tensor | None = None
    for name, module in detector.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            if bias is None and layers and layers[0][0] == "BatchNormalization":
                _put(state, name, ("weight", "bias", "running_mean", "running_var"), _next(layers, "BatchNormalization"))
                continue
            one = torch.ones_like(module.bias)
            bias = 0 * one if bias is None else bias  # the exporter leaves a bias of nothing but zeros out
            _put(state, name, ("weight", "bias", "running_mean", "running_var"), [one, bias, 0 * one, one - module.eps])
            folded.append(name)
            bias = None
        elif isinstance(module, nn.Conv2d | nn.Linear):
            weights = _next(layers, "Conv", "Gemm")
            if isinstance(module, nn.Conv2d) and weights[0].shape[1] == 1 and module.groups == 1:
                # The file has one channel of three that are alike: each of them takes its share.
                weights[0] = weights[0].expand(-1, module.in_channels, -1, -1) / module.in_channels
            if isinstance(module, nn.Linear) and len(weights) == 1:
                weights = [weights[0].flatten(1), torch.tensor([pooling.bias])]
            _put(state, name, ("weight", "bias") if module.bias is not None else ("weight",), weights)
            bias = weights[1] if module.bias is None and len(weights) > 1 else None
    if layers:
        raise ModelFileError(f"there is a {layers[0][0]} layer more than the network has")
    detector.load_state_dict(state)
    return tuple(folded)


def give_norms(detector: Detector, folded: Sequence[str], films: TrainingFilms) -> None:
    """Make norms with statistics of those that were folded away; what the network answers in evaluation mode stays the same.

    While training a norm works with the statistics of its batch, so it must know real ones, or the first step would already be
    another network. They are measured on training films, and scale and shift make good for them exactly. From then on a training cannot
    tell the network from one that never was a file: no mode of its own that checkpoint, resuming and export would have to know of.

    Args:
        detector: As `fill` left it; changed in place.
        folded: What `fill` returned.
        films: Of which some, evenly spread, are measured.
    """
    if not folded:
        return
    for name, (mean, variance) in _moments(detector, folded, films).items():
        norm = detector.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        with torch.no_grad():
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            deviation = (norm.running_var.double() + norm.eps).sqrt()
            norm.weight.copy_(deviation)
            norm.bias.add_((norm.running_mean * norm.weight.double() / deviation).float())  # of the numbers as they were rounded


def _moments(detector: Detector, names: Sequence[str], films: TrainingFilms) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance over films and cells of what reaches each norm, (channels,) float64."""
    moments: dict[str, list[Tensor]] = {name: [] for name in names}

    def watcher(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def watch(_: nn.Module, inputs: tuple[Tensor]) -> None:
            variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
            moments[name].append(torch.stack([mean, variance]).double())

        return watch

    chosen = np.unique(np.linspace(0, len(films) - 1, MEASURED_FILMS).astype(np.int64))
    handles = [detector.get_submodule(name).register_forward_pre_hook(watcher(name)) for name in names]
    with _norms_unfolded(detector), torch.no_grad():
        parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
        for part in parts:
            detector(films.take(part).image)
    for handle in handles:
        handle.remove()
    shares = torch.tensor([len(part) / len(chosen) for part in parts], dtype=torch.float64)
    return {name: _whole(torch.stack(of_parts, 1), shares) for name, of_parts in moments.items()}


def _whole(parts: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the whole from those of its parts, (2, parts, channels)."""
    means, variances = parts
    mean = shares @ means
    return mean, shares @ (variances + (means - mean).square())


@contextmanager
def _norms_unfolded(detector: Detector) -> Iterator[None]:
    """Let a detector answer as in evaluation mode without folding any norm, frozen ones included."""
    frozen = detector.backbone.frozen
    detector.backbone.freeze(0)
    detector.train()  # evaluation mode folds
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Dropout | nn.Dropout2d):
            module.eval()
    yield
    detector.backbone.freeze(frozen)
    detector.eval()


def _layers(graph: onnx.GraphProto) -> Iterator[Layer]:
    constants = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "BatchNormalization") and not node.name.startswith(GUARD):
            names = [name for name in node.input[1:] if name]
            if absent := [name for name in names if name not in constants]:
                raise ModelFileError(f"the weights {absent[0]} of {node.name} are no constants")
            yield node.op_type, [torch.from_numpy(numpy_helper.to_array(constants[name]).copy()) for name in names]


def _next(layers: deque[Layer], *kinds: str) -> list[Tensor]:
    kind, weights = layers.popleft() if layers else ("end", [])
    if kind not in kinds:
        raise ModelFileError(f"where the network has a {kinds[0]} layer, there is {kind}")
    return weights


def _put(state: dict[str, Tensor], layer: str, parts: Sequence[str], values: Sequence[Tensor]) -> None:
    for part, value in zip(parts, values, strict=False):
        key = f"{layer}.{part}"
        if state[key].shape != value.shape:
            raise ModelFileError(f"{key} is {tuple(state[key].shape)} in the network and {tuple(value.shape)} in the file")
        state[key] = value.float()
