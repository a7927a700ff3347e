"""Training on a GPU: films a second beside a plain script, how far from the machine's limit, and whether the GPU waits for films.

    python benchmarks/gpu.py [--device cuda] [--seconds 3] [--rounds 3] [-o bench-out/gpu.json]

Each way learns from the same random films on the device. Written where no GPU was at hand: `--device cpu --sides 64 --batch 2` shows that
it runs, and with larger ones what compiling does there. What is lost by bfloat16 is measured by training twice, with `--set
precision=...`, and `osteon compare`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.lab.bench.limits import Limits
from osteon.lab.bench.setting import Effort, Setting
from osteon.lab.bench.timing import Spread, spread
from osteon.lab.bench.training import measure_training
from osteon.lab.training.arithmetic import step_operations
from osteon.lab.training.network import Detector
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.schedule import optimizer

NETWORKS = {"densenet169": 64, "lite0": 128}
"""What is trained, and in batches of how many."""

SIDES = (224, 320)
PRECISIONS = ("float32", "bfloat16")
MURA = 36_808
"""Films of a pass."""

NO_LIMITS = Limits(float32_gops=1, int8_gops=1, memory_gbs=1, storage_gbs=0)
"""Where the processor's own do not matter."""

PLAIN = ("head=mean", "evidence_stride=32", "pooling.kind=mean", "dropout=0", "freeze=0", "init=random")
WARM_UP = 3


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is computed: as a script does or by osteon's training; `compiled` is a mode of `torch.compile`, "" for none."""

    name: str
    ours: bool = True
    bfloat16: bool = True
    channels_last: bool = True
    compiled: str = ""


WAYS = (
    Way(name="script, float32", ours=False, bfloat16=False, channels_last=False),
    Way(name="script, AMP", ours=False, channels_last=False),
    Way(name="script, AMP, channels last", ours=False),
    Way(name="osteon, float32", bfloat16=False),
    Way(name="osteon, bfloat16"),
    Way(name="osteon, bfloat16, compiled", compiled="default"),
    Way(name="osteon, bfloat16, compiled, CUDA graphs", compiled="reduce-overhead"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way with one network at one side; `limit` is how many films a second the slower of arithmetic and memory would allow."""

    network: str
    side: int
    batch: int
    way: str
    films_per_second: Spread | None = None
    limit: float = 0.0
    memory_mb: float = 0.0
    fault: str = ""

    def in_words(self) -> str:
        """Return it as a line."""
        if self.films_per_second is None:
            return f"{self.network} {self.side} {self.way}: {self.fault}"
        told = self.films_per_second
        return (
            f"{self.network} {self.side} {self.way}: {told.median:,.0f} films/s ({told.low:,.0f} to {told.high:,.0f}), "
            f"{told.median / self.limit:.2f} of the limit, a pass over MURA {MURA / told.median:.1f} s, {self.memory_mb:,.0f} MB"
        )


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """What the device can do: multiplications and additions (TFLOP/s) and copied memory, read and written (GB/s)."""

    float32: float
    bfloat16: float
    memory: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured; `loop` is the films a second of the whole training, and of its step alone with the films on the device."""

    device: str
    torch: str
    peaks: Peaks
    rows: list[Row]
    loop: dict[str, float]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--sides", default=",".join(map(str, SIDES)))
    parser.add_argument("--batch", type=int, default=0, help="films of a step; by default as many as are quick on a large GPU")
    parser.add_argument("--ways", default="", help="only those whose name has this in it")
    parser.add_argument("-o", "--out", type=Path, default=Path("bench-out/gpu.json"))
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no NVIDIA GPU here, or torch was built without CUDA. --device cpu shows that it runs.")
    peaks = measured_peaks(device)
    print(f"{device_name(device)}: {peaks.float32:.3g} TFLOP/s in float32, {peaks.bfloat16:.3g} in bfloat16, {peaks.memory:,.0f} GB/s")
    rows = []
    for network, usual in ((name, NETWORKS[name]) for name in given.networks.split(",")):
        for side in map(int, given.sides.split(",")):
            for way in (way for way in WAYS if given.ways in way.name):
                row = measured(way, network, (given.batch or usual, side), peaks, (device, given.rounds, given.seconds))
                print(row.in_words(), flush=True)
                rows.append(row)
    loop = whole_loop(device, given.batch or NETWORKS["lite0"], max(map(int, given.sides.split(","))))
    print(f"the whole training: {loop['loop']:,.0f} films/s, its steps alone {loop['steps']:,.0f}")
    found = Found(device=device_name(device), torch=str(torch.__version__), peaks=peaks, rows=rows, loop=loop)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print(f"written: {given.out}")


def measured(way: Way, network: str, shape: tuple[int, int], peaks: Peaks, effort: tuple[torch.device, int, float]) -> Row:
    """Return a way's row; `shape` is films and their side, `effort` the device, rounds, and seconds of each."""
    (batch, side), (device, rounds, seconds) = shape, effort
    settings = recipe("osteon", [*PLAIN, f"network={network}", f"frame.size={side}", f"precision={PRECISIONS[way.bfloat16]}"])
    row = Row(network=network, side=side, batch=batch, way=way.name, limit=allowed(network, side, PRECISIONS[way.bfloat16], peaks))
    _empty(device)
    try:
        step = made_step(way, settings, batch, device)
        for _ in range(WARM_UP):
            step()
        rates = [batch * rate(step, device, seconds) for _ in range(rounds)]
    except Exception as fault:
        return msgspec.structs.replace(row, fault=f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}")
    memory = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    return msgspec.structs.replace(row, films_per_second=spread(rates), memory_mb=memory)


def made_step(way: Way, settings: Recipe, batch: int, device: torch.device) -> Callable[[], object]:
    """Return a step on films that lie on the device; nothing is read back, so that steps follow each other without a gap."""
    torch.manual_seed(0)
    films = torch.randint(0, 256, (batch, settings.frame.size, settings.frame.size), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 2, (batch,), device=device).float()
    form = torch.channels_last if way.channels_last else torch.contiguous_format
    detector = Detector(settings).to(device, memory_format=form).train()  # type: ignore[call-overload]
    network: nn.Module = detector if way.ours else Script(detector, form)
    steps = optimizer(detector, settings) if way.ours else torch.optim.AdamW(detector.parameters(), 1e-4)

    def forward(image: Tensor) -> Tensor:
        logit: Tensor = network(image)[0]
        return functional.binary_cross_entropy_with_logits(logit, labels)

    run = torch.compile(forward, mode=way.compiled) if way.compiled else forward

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way.bfloat16):
            loss = run(films)
        steps.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()

    return step


class Script(nn.Module):
    """The same layers as a script would call them: torch's own order of memory or channels last, the mean, the linear unit."""

    def __init__(self, detector: Detector, form: torch.memory_format) -> None:
        super().__init__()
        self.detector, self.form = detector, form

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return the logits of films (n, S, S)."""
        backbone, unit = self.detector.backbone, self.detector.head
        three = ((image.float()[:, None] - self.detector.mean) / self.detector.std).contiguous(memory_format=self.form)
        features = max(backbone(three).items())[1]
        weight = next(p for p in unit.parameters() if p.ndim > 1)
        return (functional.linear(features.mean((2, 3)), weight.reshape(1, -1))[:, 0],)


def allowed(network: str, side: int, precision: str, peaks: Peaks) -> float:
    """Return the films a second that arithmetic and memory allow, the slower of the two.

    Memory: what each convolution and norm reads and writes, once forward and twice backward, at the size of the precision.
    """
    operations, numbers = work(network, side)
    small = precision == "bfloat16"
    arithmetic = operations / (1e12 * (peaks.bfloat16 if small else peaks.float32))
    moved = 3 * (2 if small else 4) * numbers / (1e9 * peaks.memory)
    return 1 / max(arithmetic, moved)


@functools.cache
def work(network: str, side: int) -> tuple[int, int]:
    """Return a film's operations and moved numbers, counted once for all ways: the counting runs on the processor."""
    settings = recipe("osteon", [*PLAIN, f"network={network}", f"frame.size={side}"])
    return step_operations(settings), moved_numbers(settings)


def moved_numbers(settings: Recipe) -> int:
    """Return how many numbers the convolutions and norms of one film read and write forward."""
    detector = Detector(settings).to("meta")
    numbers = 0

    def count(_: nn.Module, given: tuple[Tensor, ...], got: Tensor) -> None:
        nonlocal numbers
        numbers += given[0].numel() + got.numel()

    hooks = [m.register_forward_hook(count) for m in detector.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    detector.train()(torch.zeros(2, settings.frame.size, settings.frame.size, device="meta"))
    for hook in hooks:
        hook.remove()
    return numbers // 2


def measured_peaks(device: torch.device) -> Peaks:
    """Measure square products and a copy."""
    side, copied = (8192, 2**28) if device.type == "cuda" else (512, 2**24)

    def product(kind: torch.dtype) -> float:
        one = torch.randn(side, side, device=device, dtype=kind)
        return 2 * side**3 * rate(lambda: one @ one, device, 0.5) / 1e12

    held = torch.empty(copied, dtype=torch.float32, device=device)
    into = torch.empty_like(held)
    memory = 2 * 4 * copied * rate(lambda: into.copy_(held), device, 0.5) / 1e9
    return Peaks(float32=product(torch.float32), bfloat16=product(torch.bfloat16), memory=memory)


def whole_loop(device: torch.device, batch: int, side: int) -> dict[str, float]:
    """Return the films a second of `osteon train` itself, store, augmentation and records included, and of its step alone.

    If the first is the smaller by more than a little, the GPU waits.
    """
    changes = ["init=random", "epochs=1", "abnormal_repeat=1", f"frame.size={side}", f"batch={batch}", "precision=bfloat16"]
    plan = recipe("osteon", changes)
    effort = Effort(steps=40 if device.type == "cuda" else 4)
    with tempfile.TemporaryDirectory() as name:
        [told] = measure_training(Setting(folder=Path(name), model="", limits=NO_LIMITS, effort=effort), plan)
    step = made_step(Way(name="the recipe"), plan, batch, device)
    for _ in range(WARM_UP):
        step()
    return {"loop": told.median, "steps": batch * rate(step, device, 2.0)}


def rate(step: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return how often a step is done a second."""
    step()
    _wait(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(4):  # looking at the clock waits for nothing, so steps queue up; a few at a time keep the queue short
            step()
        _wait(device)
        count += 4
    return count / (time.perf_counter() - began)


def device_name(device: torch.device) -> str:
    """Return what the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _empty(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


if __name__ == "__main__":
    main()
