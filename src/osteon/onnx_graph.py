"""An ONNX file, read without trust before an engine sees it: one plain graph of known operators, or a refusal.

An engine computes while it reads, so a loop, or a table of 2^40 zeros, would keep it at work before anyone can ask how large it is. What
is read here is protobuf (onnx.proto, IR version 10): in each message the fields of the contract and no other, so no control flow, no
functions, no weights in other files. How large the maps of a film become is `network`'s to ask, when their shapes are known.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from osteon.errors import ModelFileError

MOST_PARTS, MOST_NODES, MOST_READ, MOST_DEPTH, MOST_RANK = 2**18, 5_000, 20_000, 800, 8
"""Fields of a file, nodes of its graph, what they read, how many follow one another, dimensions of a tensor.

Five DenseNet-201 have 3,100 nodes, no more than 620 in a row; the engine's time to compile grows with the square of these.
"""

MOST_SIDE = 2**20
"""Of a stride, an axis and all else that a node is told in whole numbers (OpenVINO computes shapes in int64)."""

MOST_APART = 2**26
"""Numbers that nodes make of constants alone, all together: an engine makes them while it opens the file."""

VERSIONS = range(13, 26)
"""Of ONNX's operators; before 13 axes were no inputs."""

# fmt: off
_READING = {
    0: "Constant",
    1: "Abs AveragePool Cast Ceil Clip Concat Elu Erf Exp Flatten Floor Gelu GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish "
       "Identity LeakyRelu Log LogSoftmax Max MaxPool Min Mish Neg Reciprocal ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin "
       "ReduceSum Relu Resize Shape Sigmoid Softmax Softplus Split Sqrt Squeeze Sum Tanh Transpose",
    2: "Add Conv Div Gather Gemm LayerNormalization MatMul Mul PRelu Pad Pow Reshape Sub TopK Unsqueeze",
    3: "Slice",
    5: "BatchNormalization",
}
# fmt: on
OPERATORS = {name: least for least, names in _READING.items() for name in names.split()}
"""What a network may be made of, and how many tensors each reads at least (OpenVINO 2026.4 dies of a Conv that reads one, and of a Clip
whose limits are no single numbers)."""

NO_ONNX = "no ONNX model can be read from it. Copy it again, or name another."
EXPORT_AGAIN = "Export it again with `osteon export`."

_APART = frozenset(
    ("Add", "Cast", "Concat", "Constant", "Div", "Gather", "Identity", "Mul", "Shape", "Slice", "Squeeze", "Sub", "Unsqueeze")
)
"""What may be made of constants alone, no larger than `_made` says."""

_TYPES = frozenset((1, 2, 3, 6, 7, 9, 10, 11))
"""float, uint8, int8, int32, int64, bool, float16, double."""

_MOST_DECLARED = 64
"""Bytes of what the file says of an input, and so more than its dimensions."""


class _Message(NamedTuple):
    """The fields that a message may have, by their numbers in onnx.proto: once, and any number of times."""

    name: str
    once: tuple[int, ...]
    often: tuple[int, ...]


_MODEL = _Message("the file", (1, 2, 3, 4, 5, 6, 7), (8, 14))
_OPERATOR_SET = _Message("an operator set", (1, 2), ())
_GRAPH = _Message("its graph", (2, 10), (1, 5, 11, 12, 13, 16))
_INPUT = _Message("an input", (1, 2, 3), (4,))
_NODE = _Message("a node", (3, 4, 6, 7), (1, 2, 5, 9))
_ATTRIBUTE = _Message("an attribute", (1, 2, 3, 4, 5, 13, 20), (7, 8))
_TENSOR = _Message("a constant", (2, 8, 9, 12, 14), (1, 4, 5, 7, 10, 11, 16))

_Fields = dict[int, list[Any]]
"""What a message has: whole numbers, and views of everything else."""


class _Size(NamedTuple):
    """The most numbers that a tensor has, the most dimensions, how many nodes led to it, and whether a film has a part in it."""

    numbers: int
    rank: int
    depth: int = 0
    film: bool = False


def check_graph(content: bytes) -> None:
    """Hold an ONNX file against the contract of `docs/architecture.md`, all but its card and the values of its weights.

    Raises:
        ModelFileError: it is none, or has what is no part of the contract; the message says what.
    """
    read = _Reader()
    try:
        model = read.fields(memoryview(content), _MODEL)
        for opset in [read.fields(opset, _OPERATOR_SET) for opset in model[8]]:
            if not _plain(opset.get(1)) or opset[2][0] not in VERSIONS:
                raise ModelFileError(f"its operators are not those of ONNX {VERSIONS[0]} to {VERSIONS[-1]}. {EXPORT_AGAIN}")
        _check_nodes(read, read.fields(model[7][0], _GRAPH))
    except (IndexError, KeyError, TypeError, ValueError) as fault:
        raise ModelFileError(NO_ONNX) from fault


def _check_nodes(read: _Reader, graph: _Fields) -> None:
    """Go through the nodes; each reads what stands before it, so there is no circle."""
    sizes = {tensor[8][0]: _held(tensor) for tensor in (read.fields(tensor, _TENSOR) for tensor in graph.get(5, ()))}
    for value in (read.fields(value, _INPUT) for value in graph[11]):
        if len(value[2][0]) > _MOST_DECLARED:
            raise ModelFileError(f"an input has more dimensions than a film. {EXPORT_AGAIN}")
        sizes.setdefault(value[1][0], _Size(1, 4, film=True))
    nodes = [read.fields(node, _NODE) for node in graph[1]]
    if len(nodes) > MOST_NODES or sum(len(node.get(1, ())) for node in nodes) > MOST_READ:
        raise ModelFileError(f"its graph is larger than {MOST_NODES:,} nodes that read {MOST_READ:,} tensors. {EXPORT_AGAIN}")
    apart = 0
    for node in nodes:
        kind = bytes(node[4][0]).decode()
        if kind not in OPERATORS or not _plain(node.get(7)):
            raise ModelFileError(f"its node {kind[:40]!a} is no part of a network: a loop, a branch or no ONNX operator. {EXPORT_AGAIN}")
        attributes = [read.fields(attribute, _ATTRIBUTE) for attribute in node.get(5, ())]
        if any(abs(number) > MOST_SIDE for attribute in attributes for number in _whole(attribute, 3, 8)):
            raise ModelFileError(f"its node {kind} has a number above {MOST_SIDE:,}. {EXPORT_AGAIN}")
        reads = node.get(1, [])
        given = [sizes[name] for name in reads if name]
        limits = any(size.film or size.numbers > 1 for size in given[1:]) if kind == "Clip" else False
        if not all(reads[: OPERATORS[kind]]) or len(reads) < OPERATORS[kind] or limits:
            raise ModelFileError(f"its node {kind} reads too little, or what it cannot. {EXPORT_AGAIN}")
        made = _constant(read, attributes) if kind == "Constant" else _made(kind, given)
        apart += 0 if made.film else made.numbers
        outputs = [name for name in node[2] if name]
        if made.depth > MOST_DEPTH:
            raise ModelFileError(f"more than {MOST_DEPTH} of its nodes follow one another. {EXPORT_AGAIN}")
        if apart > MOST_APART or made.rank > MOST_RANK or not (made.film or kind in _APART) or any(name in sizes for name in outputs):
            raise ModelFileError(f"its node {kind} makes too much of constants alone, or what there is already. {EXPORT_AGAIN}")
        sizes |= dict.fromkeys(outputs, made)


def _made(kind: str, given: list[_Size]) -> _Size:
    """Return the size of what a node makes. Without a film it is at most every number for every other one."""
    numbers = [size.numbers for size in given]
    rank = max(size.rank for size in given)
    if kind == "Shape":
        return _Size(_MOST_DECLARED, 1, given[0].depth + 1)
    if kind == "Reshape":
        rank = numbers[1]
    elif kind in ("Unsqueeze", "Gather"):
        rank += numbers[1] if kind == "Unsqueeze" else given[1].rank
    film, depth = any(size.film for size in given), 1 + max(size.depth for size in given)
    return _Size(1 if film else sum(numbers) if kind == "Concat" else math.prod(numbers), rank, depth, film)


def _constant(read: _Reader, attributes: list[_Fields]) -> _Size:
    """Return the size of a node that has a constant among its attributes: a tensor, or a list of numbers."""
    [held] = attributes
    return _held(read.fields(held[5][0], _TENSOR)) if 5 in held else _Size(1 + _bytes(held, 7, 8), 1)


def _held(tensor: _Fields) -> _Size:
    """Return the size of a constant that holds as many numbers as it promises."""
    sides = _whole(tensor, 1)
    if min(sides, default=0) < 0 or tensor[2][0] not in _TYPES or math.prod(sides) > _bytes(tensor, 4, 5, 7, 9, 10, 11):
        raise ModelFileError(f"a constant has not the numbers that it promises, or not such as a network has. {EXPORT_AGAIN}")
    return _Size(math.prod(max(side, 1) for side in sides), len(sides))


def _whole(fields: _Fields, *numbers: int) -> list[int]:
    """Return the whole numbers of some fields, packed or not, as int64 has them."""
    found = []
    for part in (part for number in numbers for part in fields.get(number, ())):
        at = 0
        while not isinstance(part, int) and at < len(part):
            value, at = _varint(part, at)
            found.append(value)
        found += [part] if isinstance(part, int) else []
    return [value - 2**64 if value >= 2**63 else value for value in found]


def _bytes(fields: _Fields, *numbers: int) -> int:
    """Return how many bytes some fields have, no fewer than the numbers in them."""
    return sum(1 if isinstance(part, int) else len(part) for number in numbers for part in fields.get(number, ()))


def _plain(domain: list[Any] | None) -> bool:
    """Return whether operators are of ONNX itself."""
    return domain is None or domain[0] in (b"", b"ai.onnx")


class _Reader:
    """Protobuf's messages, no more fields of them in all than `MOST_PARTS`."""

    left = MOST_PARTS

    def fields(self, content: memoryview, message: _Message) -> _Fields:
        """Return what a message has, refused if that is more than it may have."""
        found: _Fields = {}
        at = 0
        while at < len(content):
            key, at = _varint(content, at)
            number, wire = divmod(key, 8)
            if not 0 < number < 32:
                raise ValueError(number)  # more likely another kind of file
            value, at = _value(content, at, wire)
            self.left -= 1
            if self.left < 0 or (number not in message.often and (number not in message.once or number in found)):
                raise ModelFileError(f"{message.name} has more than the contract allows (field {number} of onnx.proto). {EXPORT_AGAIN}")
            found.setdefault(number, []).append(value)
        return found


def _value(content: memoryview, at: int, wire: int) -> tuple[Any, int]:
    """Return a field's value, and where the next field begins (protobuf.dev/programming-guides/encoding)."""
    if wire == 0:
        return _varint(content, at)
    size, at = _varint(content, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
    if at + size > len(content):
        raise ValueError(size)
    return content[at : at + size], at + size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        byte = content[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError(at)
