"""Who is measured against whom: each is a command that answers a folder, or one film on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from processor import describe_machine

PEERS = Path(__file__).parent / "peers"
KERAS_PYTHON = Path(__file__).parent.parent / ".venv-bench" / "bin" / "python"
PRECISIONS = {"int8": "INT8", "float32": "float32"}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to the answer of a network.

    Attributes:
        name: As the tables show it.
        network: What it runs: rows of one network are compared.
        script: File in `peers/`.
        model: What the script opens.
        side: Of the network's input, pixels.
        python: Whose interpreter.
        command: `osteon predict` with these options in the place of the script, for folders and starts.
    """

    name: str
    network: str
    script: str
    model: str
    side: int
    python: str = sys.executable
    command: tuple[str, ...] = ()

    def over(self, folder: Path) -> list[str]:
        """Return the command that answers every film of a folder."""
        if self.is_ours:
            # Peers have no guard; ours would look at a synthetic film that it refuses a second time, as a negative.
            return [sys.executable, "-m", "osteon", "predict", str(folder), "--quiet", "--no-guard", "--csv", os.devnull, *self.command]
        return [self.python, str(PEERS / self.script), self.model, str(self.side), "--folder", str(folder)]

    @property
    def is_ours(self) -> bool:
        """Whether it is osteon."""
        return self.script == "ours.py"

    def serving(self) -> Server:
        """Start it, ready to answer films."""
        return Server([self.python, str(PEERS / self.script), self.model, str(self.side), "--serve"])


@dataclass(slots=True)
class Server:
    """A contestant that waits for its turn."""

    command: list[str]
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, text=True, env=os.environ | QUIET, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        while (line := self._line()) != "ready":  # what a library prints when it starts
            if not line and self.process.poll() is not None:
                sys.exit(f"this peer does not start: {' '.join(self.command)}")

    def answer(self, times: int) -> list[float]:
        """Answer a film so often, and return the seconds of each."""
        assert self.process.stdin
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        seconds: list[float] = json.loads(self._line())
        return seconds

    def stop(self) -> None:
        """End it."""
        self.process.communicate(timeout=60)

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def contestants(densenet: Path, precisions: Sequence[str], packaged_side: int) -> list[Contestant]:
    """Return all, ours first; `densenet` is a model file of recipe `paper`, run in these precisions."""
    model = ("--model", str(densenet))
    paper, lite = "DenseNet-169, 320", f"packaged model, {packaged_side}"
    return [
        *(
            Contestant(f"osteon, {PRECISIONS[p]}", paper, "ours.py", f"{densenet},{p}", 320, command=(*model, "--precision", p))
            for p in precisions
        ),
        Contestant("ONNX Runtime", paper, "onnx_runtime.py", str(densenet), 320),
        Contestant("PyTorch eager", paper, "torch_eager.py", "paper", 320),
        Contestant("Keras, as the article", paper, "keras_densenet.py", "-", 320, str(KERAS_PYTHON)),
        Contestant("osteon", lite, "ours.py", "packaged", packaged_side),
        Contestant("PyTorch eager, its network", lite, "torch_eager.py", "osteon", packaged_side),
    ]


def trainings(side: int) -> list[Contestant]:
    """Return whose training steps are compared: ours with more and more of the network frozen, and a script's."""
    network = f"Lite0, {side}, batch 16"
    ours = {"nothing frozen": "0,float32", "3 blocks frozen": "3,float32", "5 blocks frozen": "5,float32"}
    ours |= {"3 blocks frozen, bfloat16": "3,bfloat16"} if {"avx512_bf16", "amx_bf16"} & set(describe_machine().instructions) else {}
    plain = {"PyTorch eager": "contiguous", "PyTorch eager, channels last": "channels_last"}
    return [
        *(Contestant(f"osteon, {what}", network, "ours_training.py", model, side) for what, model in ours.items()),
        *(Contestant(name, network, "torch_training.py", model, side) for name, model in plain.items()),
    ]
