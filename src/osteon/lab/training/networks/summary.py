"""A recipe's network taken apart, as plain data: its stages in order, with their sizes, weights and work, read from the real modules.

The network runs once on one film without its numbers (torch's device "meta"), so that every shape and every count is its own. Work is
counted as torch counts it: two operations a multiplication with addition, convolutions and matrices alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from osteon.lab.training.networks.densenet import DenseBlock, DenseLayer, DenseNet, Transition
from osteon.lab.training.networks.detector import Detector, MeanHead, PyramidHead
from osteon.lab.training.networks.efficientnet_lite import EfficientNetLite, InvertedBottleneck, SameConv2d
from osteon.lab.training.recipe import Recipe, read_frame

Kind = Literal["film", "convolution", "dense block", "transition", "bottlenecks", "norm", "pyramid", "evidence", "logit"]


class Shape(Struct, frozen=True):
    """Maps, and their height and width in cells."""

    maps: int
    height: int
    width: int


NOTHING = Shape(0, 0, 0)


class Step(Struct, frozen=True):
    """One thing that a layer does, and the maps that it gives."""

    does: str
    maps: int


class Stage(Struct, frozen=True, kw_only=True):
    """A part of the network that people name.

    Attributes:
        pieces: The maps of the output by who made them: a dense block's input and what each layer added; else one number.
        layers: Alike layers that are folded into this stage.
        frozen: How many of these stay as they came.
        steps: What one of these layers does, the first that is typical.
        residual: Whether such a layer's input is added to its output.
        reads: Names of the stages that it reads, where that is not only the one before it.
    """

    name: str
    kind: Kind
    does: str
    inputs: Shape
    outputs: Shape
    pieces: tuple[int, ...]
    parameters: int = 0
    flops: int = 0
    layers: int = 1
    frozen: int = 0
    steps: tuple[Step, ...] = ()
    residual: bool = False
    reads: tuple[str, ...] = ()


class Summary(Struct, frozen=True, kw_only=True):
    """A network from the film to the logit; `parameters` and `flops` (of one film) are those of all stages."""

    network: str
    size: int
    stages: tuple[Stage, ...]
    parameters: int
    flops: int


def summary(recipe: Recipe) -> Summary:
    """Return the stages of a recipe's network, at the size at which the finished model reads films.

    Raises:
        UsageError: the recipe freezes more blocks than the network has.
    """
    detector = Detector(recipe).eval().to("meta")  # made there at once, its first weights would cost seconds
    size = read_frame(recipe).size
    trace = _traced(detector, size)
    film = Shape(1, size, size)
    first = Stage(name="film", kind="film", does="grey, bone bright; repeated for red, green, blue", inputs=film, outputs=film, pieces=(1,))
    if isinstance(detector.backbone, DenseNet):
        backbone = list(_densenet(detector.backbone, trace))
    else:
        assert isinstance(detector.backbone, EfficientNetLite)
        backbone = list(_lite(detector.backbone, trace))
    head = _mean_head(detector.head, trace) if isinstance(detector.head, MeanHead) else _pyramid_head(detector.head, trace, backbone)
    stages = (first, *backbone, *head, _logit(recipe, trace))
    return Summary(
        network=recipe.network,
        size=size,
        stages=stages,
        parameters=sum(stage.parameters for stage in stages),
        flops=sum(stage.flops for stage in stages),
    )


@dataclass
class _Trace:
    """What one film left behind: each module's shapes and work, and the modules that stay as they came."""

    inputs: dict[nn.Module, Shape] = field(default_factory=dict)
    outputs: dict[nn.Module, Shape] = field(default_factory=dict)
    flops: dict[nn.Module, int] = field(default_factory=dict)
    fixed: set[nn.Module] = field(default_factory=set)
    evidence: Shape = NOTHING

    def stage(self, modules: Sequence[nn.Module], name: str, kind: Kind, does: str) -> Stage:
        """Return a stage of modules that follow each other."""
        outputs = self.outputs[modules[-1]]
        return Stage(
            name=name,
            kind=kind,
            does=does,
            inputs=self.inputs[modules[0]],
            outputs=outputs,
            pieces=(outputs.maps,),
            parameters=sum(p.numel() for m in modules for p in m.parameters()),
            flops=sum(self.flops.get(m, 0) for m in modules),
            layers=len(modules),
            frozen=sum(m in self.fixed for m in modules),
        )


def _traced(detector: Detector, size: int) -> _Trace:
    trace = _Trace()
    trace.fixed = {m for m in detector.modules() if (ps := list(m.parameters())) and not any(p.requires_grad for p in ps)}
    detector.backbone.freeze(0)  # a frozen block merges its norms, and its modules would see nothing

    def note(module: nn.Module, given: tuple[object, ...], got: object) -> None:
        trace.inputs[module], trace.outputs[module] = _shape(given), _shape(got)

    hooks = [module.register_forward_hook(note) for module in detector.modules()]
    counter = FlopCounterMode(display=False)
    with counter:
        _, evidence = detector(torch.zeros(1, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    trace.evidence = Shape(1, *evidence.shape[1:])
    counts = counter.get_flop_counts()
    trace.flops = {m: sum(counts.get(f"Detector.{name}", {}).values()) for name, m in detector.named_modules() if name}
    return trace


def _shape(passed: object) -> Shape:
    """Return the shape of the tensor that a module handed on: of several the last, of nested ones the first."""
    if isinstance(passed, Tensor):
        return Shape(passed.shape[1], *passed.shape[2:4]) if passed.dim() == 4 else Shape(passed.shape[-1], 1, 1)
    held = passed.values() if isinstance(passed, dict) else passed if isinstance(passed, tuple | list) else ()
    parts = [part for part in held if isinstance(part, Tensor | list | dict)]
    return _shape(parts[-1]) if parts else NOTHING


def _densenet(network: DenseNet, trace: _Trace) -> Iterator[Stage]:
    parts = network.features
    first = parts["denseblock1"]
    stem = trace.stage([parts["conv0"], parts["norm0"]], "stem", "convolution", "7 x 7 convolution, stride 2; 3 x 3 maximum, stride 2")
    yield replace(stem, outputs=trace.inputs[first], layers=1, frozen=int(parts["conv0"] in trace.fixed))
    for name, part in parts.items():
        number = name[-1]
        if isinstance(part, DenseBlock):
            yield _dense_block(part, f"dense block {number}", trace)
        elif isinstance(part, Transition):
            does = "1 x 1 convolution to half the maps; 2 x 2 mean"
            yield trace.stage([part], f"transition {number}", "transition", does)
    yield trace.stage([parts["norm5"]], "last norm", "norm", "norm, ReLU")


def _dense_block(block: DenseBlock, name: str, trace: _Trace) -> Stage:
    layers = [layer for layer in block.children() if isinstance(layer, DenseLayer)]
    growth, narrow = layers[0].conv2.out_channels, layers[0].conv1.out_channels
    does = f"{len(layers)} layers: each reads all maps before it and adds {growth}"
    whole = trace.stage([block], name, "dense block", does)
    steps = (Step("all maps so far", layers[0].conv1.in_channels), Step("1 x 1 convolution", narrow), Step("3 x 3 convolution", growth))
    frozen = len(layers) if block in trace.fixed else 0
    return replace(whole, pieces=(whole.inputs.maps, *[growth] * len(layers)), layers=len(layers), frozen=frozen, steps=steps)


def _lite(network: EfficientNetLite, trace: _Trace) -> Iterator[Stage]:
    stem = trace.stage([network._conv_stem, network._bn0], "stem", "convolution", "3 x 3 convolution, stride 2")
    yield replace(stem, layers=1, frozen=int(network._conv_stem in trace.fixed))
    groups: list[list[InvertedBottleneck]] = []
    for block in network._blocks:
        assert isinstance(block, InvertedBottleneck)
        if not block.residual:  # the first of a stage changes the maps, so nothing can be added to them
            groups.append([])
        groups[-1].append(block)
    for number, group in enumerate(groups, start=1):
        yield _bottlenecks(group, f"stage {number}", trace)
    does = f"1 x 1 convolution to {network._conv_head.out_channels} maps"
    yield replace(trace.stage([network._conv_head, network._bn1], "widening", "convolution", does), layers=1, frozen=0)


def _bottlenecks(group: list[InvertedBottleneck], name: str, trace: _Trace) -> Stage:
    depthwise, typical = group[0]._depthwise_conv, group[-1]
    kernel, stride = depthwise.kernel_size[0], group[0].stride
    many = f"{len(group)} inverted bottlenecks" if len(group) > 1 else "an inverted bottleneck"
    does = f"{many}, {kernel} x {kernel}" + (f"; the first halves the side (stride {stride})" if stride > 1 else "")
    whole = trace.stage(group, name, "bottlenecks", does)
    return replace(whole, steps=tuple(_bottleneck_steps(typical, kernel)), residual=typical.residual)


def _bottleneck_steps(block: InvertedBottleneck, kernel: int) -> Iterator[Step]:
    inputs = block._expand_conv.in_channels if isinstance(block._expand_conv, SameConv2d) else block._depthwise_conv.in_channels
    yield Step("input", inputs)
    if isinstance(block._expand_conv, SameConv2d):
        yield Step("1 x 1 convolution", block._expand_conv.out_channels)
    yield Step(f"{kernel} x {kernel}, each map alone", block._depthwise_conv.out_channels)
    yield Step("1 x 1 convolution", block._project_conv.out_channels)


def _mean_head(head: MeanHead, trace: _Trace) -> Iterator[Stage]:
    # The head multiplies by the linear unit's weights without calling it, so that the unit itself has seen nothing.
    stage = trace.stage([head.dropout], "evidence", "evidence", "a weight for each map, summed in every cell")
    yield replace(stage, outputs=trace.evidence, pieces=(1,), parameters=sum(p.numel() for p in head.parameters()), flops=trace.flops[head])


def _pyramid_head(head: PyramidHead, trace: _Trace, backbone: list[Stage]) -> Iterator[Stage]:
    reads: str = backbone[-1].name
    for stride in head.strides:
        lateral = head.lateral[str(stride)]
        taken = trace.inputs[lateral]
        source = next(stage.name for stage in reversed(backbone) if stage.outputs == taken)
        does = f"1 x 1 convolution to {trace.outputs[lateral].maps} maps" + ("" if stride == 32 else ", added to the coarser ones enlarged")
        name = f"pyramid, stride {stride}"
        yield replace(trace.stage([lateral], name, "pyramid", does), reads=(source,) if stride == 32 else (reads, source))
        reads = name
    yield trace.stage([head.smooth], "smoothing", "pyramid", "3 x 3 convolution")
    reads = "smoothing"
    if head.fine is not None:
        taken = trace.inputs[head.fine.lateral]
        source = next(stage.name for stage in reversed(backbone) if stage.outputs == taken)
        finer = trace.stage([head.fine], "refinement, stride 8", "pyramid", "what finer maps add to each cell")
        yield replace(finer, reads=(reads, source))
        reads = "refinement, stride 8"
    cells = trace.stage([head.cell, head.whole], "evidence", "evidence", "one value a cell, and one for the whole film added to all")
    yield replace(cells, outputs=trace.evidence, pieces=(1,), layers=1, frozen=0, reads=(reads, backbone[-1].name))


def _logit(recipe: Recipe, trace: _Trace) -> Stage:
    does = {
        "mean": "mean over the cells, and a bias",
        "logsumexp": f"log-sum-exp over the cells, sharpness {recipe.pooling.sharpness:g}: close to the strongest",
        "top-k": f"mean over the highest {recipe.pooling.share:.3g} of the cells",
    }
    return Stage(name="logit", kind="logit", does=does[recipe.pooling.kind], inputs=trace.evidence, outputs=Shape(1, 1, 1), pieces=(1,))
