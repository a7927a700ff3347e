"""The benchmarks' tables and targets say what a report says; a contestant answers in turn; nothing here asserts a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch

from drawn_tree import ROOT
from made_model import make_model
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.networks.efficientnet_lite import EfficientNetLite
from osteon.lab.training.recipe import recipe

sys.path.insert(0, str(ROOT / "benchmarks"))
import contestants
import gpu
import gpu_kernels
import gpu_steps
import gpu_training
import page
import soak
from films import link_many, make_films
from limits import Limits
from processor import describe_machine
from rows import Report, Row, row
from targets import targets
from timing import Spread

PAPER, LITE = "DenseNet-169, 320", "packaged model, 384"
TRAINED = "Lite0, 320, batch 16"


def one(median: float) -> Spread:
    return Spread(median, median * 0.9, median * 1.1, 5)


@pytest.fixture
def report() -> Report:
    rows = [
        row(("network", PAPER, "osteon, float32"), "ms", one(80)),
        row(("network", PAPER, "osteon, INT8"), "ms", one(40)),
        row(("network", PAPER, "PyTorch eager"), "ms", one(160)),
        row(("network", PAPER, "Keras, as the article"), "ms", one(200)),
        row(("network", LITE, "osteon"), "ms", one(8)),
        row(("start", LITE, "osteon"), "s", one(0.6), 200),
        row(("start", LITE, "osteon, empty cache"), "s", one(0.9), 200),
        row(("loader", "films at 320", "osteon's store"), "films/s", one(9000)),
        row(("loader", "films at 320", "PNG decoded each epoch"), "films/s", one(300)),
        row(("training", TRAINED, "osteon, 3 blocks frozen"), "films/s", one(18)),
        row(("training", TRAINED, "PyTorch eager"), "films/s", one(6)),
    ]
    limits, work = Limits(float32_gops=100, int8_gops=400), {PAPER: 8_000_000_000, LITE: 2_000_000_000}
    return Report(date="2026-01-01", machine=describe_machine(), limits=limits, rows=tuple(rows), operations=work)


class TestTargets:
    def test_verdicts(self, report: Report) -> None:
        found = {t.what: t for t in targets(report)}
        assert found["DenseNet-169, one film: time against PyTorch eager"].measured == 0.25
        assert found["DenseNet-169, one film: time against PyTorch eager"].verdict == "met"
        assert found["DenseNet-169, one film: times the INT8 limit"].measured == pytest.approx(40 / 20)
        assert found["packaged model, one film: time against Keras's DenseNet-169"].verdict == "met"
        assert found["packaged: process start to first answer, model kept"].verdict == "**missed**"
        assert found["packaged: process start to first answer, empty cache"].verdict == "met"
        assert found["films that reach a training: films/s against PNG decoded each epoch"].measured == 30
        assert found["a training step, Lite0 at 320, 3 blocks frozen: films/s against PyTorch eager, none frozen"].measured == 3
        assert found["index of 40,005 films: the whole command"].verdict == "not measured"


class TestPage:
    def test_tables_hold_every_row(self, report: Report) -> None:
        text = page.tables(report)
        assert "| DenseNet-169, 320 | osteon, INT8 | 40 ms | 36 to 44 |  |" in text
        assert "8.0 GFLOP a film, at the limit float32 80.0 ms, int8 20.0 ms" in text

    def test_a_soak_is_told(self) -> None:
        steady = soak.Steady(predictions=20_000, slope_kb=1.2, slope_error_kb=0.4, resident_mb=200, other_bits=0, batch_difference=0)
        hurt = soak.Broken(films=10_000, broken=100, lost=0, slowdown=0.01)
        text = page.long_runs(soak.Soak(machine="m", steady=steady, hurt=hurt, many=100_000, many_mb=600))
        assert "20,000 predictions in one process: memory 200 MB, slope after warm-up +1.2 kB (standard error 0.4) a thousand" in text
        assert "0 others lost, +1.0 % time" in text

    def test_only_what_stands_between_the_marks_changes(self) -> None:
        begin, end = page.FIGURES
        before = f"# A\n\n{begin}\nold\n{end}\n\nafter\n"
        assert page.placed(before, "new\n", page.FIGURES) == f"# A\n\n{begin}\n\nnew\n\n{end}\n\nafter\n"
        with pytest.raises(SystemExit, match="no place for figures"):
            page.placed("# A", "new", page.LONG_RUNS)

    def test_the_page_has_its_places(self) -> None:
        text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        places = [text.index(mark) for mark in (*page.FIGURES, *page.LONG_RUNS)]
        assert places == sorted(places)


class TestContestants:
    def test_a_peer_answers_on_request_and_over_a_folder(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        model = make_model(tmp_path / "made.onnx")
        peer = contestants.Contestant("ONNX Runtime", "made", "onnx_runtime.py", str(model), 64)
        server = peer.serving()
        assert [len(server.answer(n)) for n in (1, 3)] == [1, 3]
        server.stop()
        make_films(tmp_path / "films", 2, side=128)
        told = subprocess.run(peer.over(tmp_path / "films"), capture_output=True, text=True, check=True).stdout.splitlines()
        assert [line.split(":")[0] for line in told] == ["film0000.png", "film0001.png"]

    def test_ours_answers_on_request_and_is_the_command_over_a_folder(self, tmp_path: Path) -> None:
        model = make_model(tmp_path / "made.onnx")
        ours = contestants.Contestant("osteon", "made", "ours.py", f"{model},float32", 64)
        server = ours.serving()
        assert len(server.answer(2)) == 2
        server.stop()
        assert ours.over(tmp_path)[1:4] == ["-m", "osteon", "predict"]

    def test_each_network_has_ours_and_its_peers(self) -> None:
        all_of_them = contestants.contestants(Path("densenet.onnx"), ["int8", "float32"], 384)
        assert {c.network for c in all_of_them if c.is_ours} == {c.network for c in all_of_them}
        assert {c.script for c in all_of_them} <= {p.name for p in contestants.PEERS.iterdir()}


class TestTraining:
    def test_each_one_makes_steps_on_request(self) -> None:
        for entrant in contestants.trainings(64):
            if entrant.model in ("contiguous", "3,float32", "3,bfloat16"):
                server = entrant.serving()
                assert len(server.answer(2)) == 2
                server.stop()

    def test_the_script_s_network_is_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(contestants.PEERS)
        import torch_training

        theirs, ours = torch_training.Lite0().eval(), EfficientNetLite().eval()
        for mine, given in zip(ours.parameters(), theirs.parameters(), strict=False):  # theirs has an output more
            mine.data.copy_(given)
        image = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            logit = theirs.output(ours(image)[32].mean((2, 3)))[:, 0]
            torch.testing.assert_close(theirs(image), logit, rtol=1e-4, atol=1e-4)


class TestSoak:
    def test_the_line_is_numpy_s(self) -> None:
        x, noise = np.arange(50.0), np.random.default_rng(0).normal(size=50)
        fit, covariance = np.polyfit(x, 3 * x + noise, 1, cov="unscaled")
        slope, error = soak.line(x, 3 * x + noise)
        rest = 3 * x + noise - np.polyval(fit, x)
        assert slope == pytest.approx(fit[0])
        assert error == pytest.approx(float(np.sqrt(covariance[0, 0] * (rest**2).sum() / 48)))

    def test_one_in_a_hundred_is_broken(self, tmp_path: Path) -> None:
        made = make_films(tmp_path / "few", 1, side=128)
        paths = link_many(made, tmp_path / "many", 400)
        whole = made[0].read_bytes()
        assert soak.break_some(paths) == 4
        assert sum(path.read_bytes() != whole for path in paths) == 4
        assert made[0].read_bytes() == whole


def test_a_row_is_found_by_section_network_and_name(report: Report) -> None:
    assert report.row("network", "packaged", "osteon") == next(r for r in report.rows if r.network == LITE and r.section == "network")
    assert isinstance(report.row("network", PAPER, "osteon, INT8"), Row)
    assert report.row("index", "", "osteon") is None


CPU = torch.device("cpu")


class TestGpu:
    @pytest.mark.parametrize("way", [gpu_steps.WAYS[0], gpu_steps.WAYS[1], gpu_steps.WAYS[7]], ids=lambda way: way.name)
    def test_a_way_learns(self, way: gpu_steps.Way) -> None:
        peaks = gpu_steps.Peaks(float32=0.1, bfloat16=0.1, memory=10)
        row = gpu_steps.measured(way, "lite0", (2, 64), peaks, (CPU, 2, 1e-3))
        assert row.films_per_second is not None and row.films_per_second.n == 2, row.fault
        assert row.limit > 0 and "lite0 64" in row.in_words() and row.busy > 0
        assert next(iter(row.kinds)) == "convolution" and len(row.largest) == gpu_kernels.LARGEST
        assert list(row.largest.values()) == sorted(row.largest.values(), reverse=True)

    def test_a_way_that_fails_is_a_finding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("out of memory\nmore")

        monkeypatch.setattr(gpu_steps, "made_step", broken)
        row = gpu_steps.measured(gpu_steps.WAYS[0], "lite0", (2, 64), gpu_steps.Peaks(float32=1, bfloat16=1, memory=1), (CPU, 1, 0.0))
        assert row.films_per_second is None and row.in_words().endswith("RuntimeError: out of memory")

    @pytest.mark.parametrize("library", ["timm", "torchvision"])
    def test_a_library_s_network_learns_where_it_is_installed(self, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither is here; what stands for it is asked as these are for the network by its name in them."""
        asked: list[object] = []

        def made(name: str, num_classes: int) -> torch.nn.Module:
            asked.append((name, num_classes))
            return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, num_classes))

        models = SimpleNamespace(get_model=made)
        monkeypatch.setitem(sys.modules, library, SimpleNamespace(create_model=made, models=models))
        way = next(way for way in gpu_steps.WAYS if way.library == library)
        step = gpu_steps.made_step(way, recipe("osteon", [*gpu_steps.PLAIN, "network=densenet169", "frame.size=64"]), 2, CPU)
        step()
        assert asked == [("densenet169", 1)]

    @pytest.mark.parametrize("network", gpu.NETWORKS)
    def test_the_script_s_network_is_ours(self, network: str) -> None:
        detector = Detector(recipe("osteon", [*gpu_steps.PLAIN, f"network={network}", "frame.size=64"])).eval()
        films = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8)
        with torch.no_grad():
            [told] = gpu_steps.Script(detector, torch.contiguous_format)(films)
            torch.testing.assert_close(told + detector.head.bias, detector(films)[0], atol=1e-4, rtol=1e-4)

    def test_what_moves_is_counted_for_one_film(self) -> None:
        settings = recipe("osteon", [*gpu_steps.PLAIN, "frame.size=64"])
        stem = 3 * 65 * 65 + 32 * 32 * 32  # padded as TensorFlow does
        assert gpu_steps.moved_numbers(settings) > 3 * stem
        assert gpu_steps.moved_numbers(settings) == pytest.approx(
            gpu_steps.moved_numbers(recipe("osteon", [*gpu_steps.PLAIN, "frame.size=128"])) / 4, rel=0.05
        )

    @pytest.mark.parametrize(
        ("kernel", "kind"),
        [
            ("sm90_xmma_dgrad_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc", "convolution"),
            ("void cudnn::batchnorm_bwtr_nhwc_semiPersist<__nv_bfloat16>", "normalisation"),
            ("void at::native::(anonymous namespace)::CatArrayBatchedCopy_contig", "concatenation"),
            ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add>", "elementwise"),
            ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<FusedAdamMathFunctor>", "optimizer"),
            ("triton_poi_fused_native_batch_norm_backward_relu_12", "compiled"),
            ("Memcpy HtoD (Pinned -> Device)", "copy"),
            ("something new", "other"),
        ],
    )
    def test_a_kernel_is_told_by_its_name(self, kernel: str, kind: str) -> None:
        assert gpu_kernels.kind(kernel) == kind

    def test_all_of_it_and_what_failed_is_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise ValueError("no films")

        monkeypatch.setattr(gpu, "WAYS", gpu.WAYS[6:9:2])  # one eager, one compiled
        monkeypatch.setattr(gpu, "numerics", broken)
        monkeypatch.setattr(gpu, "measured", lambda way, network, shape, *_: gpu.Row(network=network, side=shape[1], batch=2, way=way.name))
        monkeypatch.setattr(
            sys,
            "argv",
            ["gpu.py", *["--device", "cpu", "--networks", "lite0", "--sides", "64", "--batch", "2", "--quick", "-o"], str(tmp_path / "o")],
        )
        gpu.main()
        found = msgspec.json.decode((tmp_path / "o").read_bytes(), type=gpu.Found)
        assert [row.way for row in found.rows] == ["osteon, float32", "osteon, bfloat16, compiled"]
        [loop] = found.loops
        assert loop.whole > 0 and loop.steps > 0 and loop.waits == {} and "a pass over MURA" in loop.in_words()
        assert found.numerics is None and found.left_out == ["bfloat16 beside float32: ValueError: no films"]

    def test_precisions_are_compared_seed_by_seed(self) -> None:
        told = gpu_training.numerics(CPU, 64, {"train": 4, "valid": 4}, 2, ("epochs=1", "batch=4"))
        assert [len(values) for values in told.auroc.values()] == [2, 2]
        words = gpu_training.Numerics(films=9, auroc={"float32": [0.8, 0.9], "bfloat16": [0.82, 0.9]}).in_words()
        assert "float32 0.8500, bfloat16 0.8600, difference +0.0100 (standard error 0.0100, 2 seeds)" in words
