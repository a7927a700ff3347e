"""What the benchmarks measure with: times, the machine, its limits, the arithmetic of a film; nothing here asserts a time."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import osteon
from drawn_tree import ROOT
from made_model import make_model
from osteon.errors import MeasurementError, ModelFileError
from tiny_training import one_thread, tiny

sys.path.insert(0, str(ROOT / "benchmarks"))
import films
import limits
import machine
import predicting
import processor
import timing
import work
from contestants import Contestant


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx")


class TestTiming:
    def test_spread_is_numpy_s(self) -> None:
        values = np.random.default_rng(0).exponential(size=101)
        found = timing.spread(values.tolist())
        np.testing.assert_allclose((found.low, found.median, found.high), np.quantile(values, (0.25, 0.5, 0.75)))
        assert found.n == 101

    def test_one_value_is_its_own_spread(self) -> None:
        assert timing.spread([2.0]) == timing.Spread(2.0, 2.0, 2.0, 1)

    def test_a_falling_change_swaps_the_quartiles(self) -> None:
        assert timing.Spread(2, 1, 4, 3).map(lambda s: 8 / s) == timing.Spread(4, 2, 8, 3)

    def test_each_round_calls_all_in_turn(self) -> None:
        told: list[str] = []
        seconds = timing.in_turn({"a": lambda: told.append("a"), "b": lambda: told.append("b")}, rounds=2, warm_up=1)
        assert told == ["a", "b", "a", "b", "a", "b"]
        assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}

    def test_a_process_is_timed_and_its_memory_seen(self) -> None:
        small = timing.finished([sys.executable, "-c", "pass"])
        large = timing.finished([sys.executable, "-c", "b'1' * 100_000_000"])
        assert small.seconds > 0
        assert large.peak_mb > small.peak_mb + 90

    def test_a_process_that_fails_is_named(self) -> None:
        with pytest.raises(MeasurementError, match="ended with status 3"):
            timing.finished([sys.executable, "-c", "raise SystemExit(3)"])
        assert timing.finished([sys.executable, "-c", "raise SystemExit(3)"], allowed=(0, 3)).seconds > 0

    def test_a_command_that_is_not_there_is_named(self) -> None:
        with pytest.raises(MeasurementError, match="cannot be started: no-such-command"):
            timing.finished(["no-such-command"])

    def test_the_environment_reaches_it(self) -> None:
        code = "import os; raise SystemExit(int(os.environ['STATUS']))"
        assert timing.finished([sys.executable, "-c", code], {"STATUS": "0"}).seconds > 0


class TestMachine:
    def test_it_is_described_without_a_name_of_it(self) -> None:
        found = processor.describe_machine()
        assert 1 <= found.cores <= (os.cpu_count() or 1)
        assert found.packages["osteon"] == osteon.__version__
        assert {"numpy", "openvino", "pillow"} <= set(found.packages)
        text = repr(found)
        for secret in (os.uname().nodename, os.environ.get("USER", "")):
            assert len(secret) < 5 or secret not in text

    def test_in_words(self) -> None:
        found = processor.describe_machine()
        assert f"{found.cores} cores" in found.in_words()
        assert f"Python {found.python}" in found.in_words()

    def test_resident_memory_follows_what_is_held(self) -> None:
        before = processor.resident_mb()
        held = np.frombuffer(mmap.mmap(-1, 50_000_000), np.uint8)  # numpy's own could be memory that a training kept in this process
        held[:] = 1
        assert 40 < processor.resident_mb() - before < 70


class TestLimits:
    def test_all_are_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SHAPES", ((64, 16, 3),))
        monkeypatch.setattr(limits, "MATRIX", 128)
        found = limits.measure_limits(rounds=2)
        assert min(found.float32_gops, found.int8_gops) > 0

    def test_seconds(self) -> None:
        known = limits.Limits(float32_gops=10, int8_gops=40)
        assert known.seconds(20e9) == 2
        assert known.seconds(20e9, "int8") == 0.5


class TestWork:
    def test_a_counted_network(self, model: Path) -> None:
        # Frame 64: Conv 4 x 4, stride 4, 1 -> 8 channels, then 8 -> 1; 16 x 16 and 4 x 4 outputs.
        assert work.operations(model) == 2 * (8 * 16 * 16 * 16 + 4 * 4 * 8 * 16)

    @pytest.mark.parametrize(("group", "terms"), [(1, 6 * 9), (6, 9), (2, 3 * 9)])
    def test_groups(self, tmp_path: Path, group: int, terms: int) -> None:
        kernel = numpy_helper.from_array(np.ones((6, 6 // group, 3, 3), "f4"), "kernel")
        nodes = [
            helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["grey", "axis"], ["plane"]),
            helper.make_node("Concat", ["plane"] * 6, ["planes"], axis=1),
            helper.make_node("Conv", ["planes", "kernel"], ["out"], group=group),
        ]
        axis = numpy_helper.from_array(np.array([1]), "axis")
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 10, 12])
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 6, 8, 10])
        graph = helper.make_graph(nodes, "grouped", [image], [out], [kernel, axis])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "m.onnx")
        assert work.operations(tmp_path / "m.onnx") == 2 * 6 * 8 * 10 * terms

    def test_no_model_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_text("text")
        for name in ("m.onnx", "absent.onnx"):
            with pytest.raises(ModelFileError, match="no ONNX model"):
                work.operations(tmp_path / name)

    def test_the_arithmetic_of_a_step(self) -> None:
        with one_thread():
            whole, frozen = work.step_flops(tiny("freeze=0")), work.step_flops(tiny())
        # A step backward asks for twice a step forward, but for the first layer; with all blocks frozen only head and pyramid have one.
        assert frozen < whole / 2


class TestFilms:
    def test_synthetic_films_are_films(self, tmp_path: Path) -> None:
        for path in films.make_films(tmp_path / "few", 2, side=128):
            assert max(osteon.read_film(path).pixels.shape) == 128

    def test_links_cost_no_room(self, tmp_path: Path) -> None:
        made = films.make_films(tmp_path / "few", 2, side=128)
        many = films.link_many(made, tmp_path / "many", 5)
        assert len(set(many)) == 5
        assert many[4].samefile(made[0])


def test_a_machine_s_rows(model: Path, tmp_path: Path) -> None:
    one = Contestant("osteon", "made@1.0.0", "ours.py", str(model), 64, command=("--model", str(model)))
    rows = machine.measured(one, tmp_path, predicting.GLANCE)
    assert [(row.section, row.unit) for row in rows] == [("network", "ms"), ("start", "s"), ("start", "s"), ("folder", "films/s")]
    assert all(0 < row.low <= row.median <= row.high for row in rows)
