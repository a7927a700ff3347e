"""Fuzz what osteon reads of strangers: any bytes are an answer or a refusal, in seconds and bounded memory.

python fuzz/readers.py films fuzz/corpus/films -runs=200000 -timeout=10 -rss_limit_mb=2048

The first word is one of `READERS`. atheris follows which lines of osteon and pydicom an input reaches and keeps what reaches new ones. What
it finds beyond the corpus goes into the first folder that is named, so name a scratch folder before the corpus to keep that as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import atheris
import numpy as np
import onnx
from google.protobuf.message import DecodeError

with atheris.instrument_imports(include=["osteon", "pydicom"]):
    from osteon.card import Card
    from osteon.card_text import facts
    from osteon.dicom import is_dicom, read_dicom
    from osteon.errors import OsteonError
    from osteon.lab.data.build import build_index
    from osteon.lab.data.leaks import leaks
    from osteon.onnx_graph import OPERATORS, check_graph
    from osteon.opening import load_model, trust
    from osteon.precision import Ranges
    from osteon.raster import read_raster
    from osteon.sources import find_sources

HERE = Path(sys.argv[2] if sys.argv[1] == "opener" else tempfile.mkdtemp(prefix="osteon-fuzz-"))


def films(content: bytes) -> None:
    """A film's file -> grey pixels."""
    film = read_dicom(content, "film") if is_dicom(content) else read_raster(content, "film")
    if not np.isfinite(film.pixels).all() or film.pixels.ndim != 2:
        raise AssertionError("pixels that are none")


def manifest(content: bytes) -> None:
    """A table of films, for `osteon predict` and for `osteon index`."""
    table = HERE / "films.csv"
    table.write_bytes(content)
    with contextlib.suppress(OsteonError):
        find_sources([table])
    leaks(build_index(table, decode=False)[0])


def card(content: bytes) -> None:
    """A card, or what makes INT8 of a network; a probability is one whatever the logit."""
    with contextlib.suppress(OsteonError):
        Ranges.from_json(content)
    read = Card.from_json(content)
    facts(read)
    told = [read.probability(logit) for logit in (-1e30, -1.0, 0.0, 1.0, 1e30)]
    if not all(0 <= probability <= 1 for probability in told):
        raise AssertionError("a probability that is none")


def model(content: bytes) -> None:
    """A model file -> its answers to the test films.

    Another process opens it first, as `osteon.opening` does; here one that goes on to the next file, until it dies of one.
    """
    check_graph(content)
    file = HERE / "model.onnx"
    file.write_bytes(content)
    if _OPENER.opens():
        trust(content)
        load_model(file, "int8" if len(content) % 2 else "float32")


class _Opener:
    """The process that opens each model file first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.died = 0

    def opens(self) -> bool:
        """Return whether it has opened or refused the file, and not died of it."""
        if self._process is None:
            words = [sys.executable, __file__, "opener", str(HERE)]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        match self._process.stdout.read(1):
            case b"y":
                return True
            case b"n":
                raise AssertionError("an error that is none of osteon's")
        status, self._process = self._process.wait(), None
        self.died += 1
        print(f"OpenVINO died of a model file (status {status}, {self.died} of all)", flush=True)
        return False


_OPENER = _Opener()


def opener() -> None:
    """Be that process: open the file in `HERE` each time a line comes."""
    for _ in sys.stdin.buffer:
        content = (HERE / "model.onnx").read_bytes()
        trust(content)
        told = b"y"
        try:
            load_model(HERE / "model.onnx", "int8" if len(content) % 2 else "float32")
        except OsteonError:
            pass
        except BaseException:  # the fuzzer's own process shows it
            told = b"n"
        sys.stdout.buffer.write(told)
        sys.stdout.buffer.flush()


def mutated(content: bytes, most: int, seed: int) -> bytes:
    """Change a model file inside its graph, where changed bytes alone would mostly be no protobuf any more."""
    draw = random.Random(seed)
    try:
        changed = _changed(onnx.load_model_from_string(content), draw)
    except (ValueError, IndexError, DecodeError):  # no graph, or names in it that are no UTF-8
        changed = b""
    return changed if 0 < len(changed) <= most and draw.random() < 0.7 else bytes(atheris.Mutate(content, most))


def _changed(parsed: onnx.ModelProto, draw: random.Random) -> bytes:
    nodes, constants = parsed.graph.node, parsed.graph.initializer
    node, constant = draw.choice(nodes), draw.choice(constants)
    number = draw.choice((-1, 0, 1, 2, 7, 255, 2**16, 2**31, 2**40, 2**62))
    match draw.randrange(7):
        case 0:
            node.op_type = draw.choice(sorted(OPERATORS))
        case 1:
            node.input[draw.randrange(len(node.input))] = draw.choice(draw.choice(nodes).output)
        case 2:
            attribute = draw.choice(node.attribute)
            attribute.i = number
            attribute.ints[:] = [number if draw.random() < 0.5 else old for old in attribute.ints]
        case 3:
            constant.dims[draw.randrange(len(constant.dims))] = number
        case 4:
            size = len(constant.raw_data)
            constant.raw_data = atheris.Mutate(constant.raw_data, size).ljust(size, b"\0")
        case 5:
            text = draw.choice(parsed.metadata_props)
            old = text.value.encode() if isinstance(text.value, str) else text.value
            text.value = atheris.Mutate(old, len(old) + 40).decode(errors="replace")
        case _:
            nodes.insert(draw.randrange(len(nodes)), node)
    return parsed.SerializeToString()


READERS = {read.__name__: read for read in (films, manifest, card, model)}


def one(content: bytes) -> None:
    """Read one input; anything but an answer or a refusal is a finding."""
    with contextlib.suppress(OsteonError):
        READERS[KIND](content)


if __name__ == "__main__":
    KIND = sys.argv.pop(1)
    os.environ["OSTEON_CACHE"] = ""
    warnings.simplefilter("ignore")
    logging.disable()
    if KIND == "opener":
        opener()
        sys.exit()
    (HERE / "a.png").write_bytes((Path(__file__).parent / "corpus" / "films" / "png-8").read_bytes())
    atheris.Setup(sys.argv, one, **({"custom_mutator": mutated} if KIND == "model" else {}))
    atheris.Fuzz()
