"""The parts of a bench run and their record is whole; nothing here asserts a time."""

from __future__ import annotations

import json
import mmap
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import osteon
from made_model import made_card, make_model
from osteon.errors import MeasurementError, ModelFileError
from osteon.lab.bench import films, limits, machine, predicting, reading, record, run, setting, timing, training, work
from osteon.lab.bench.limits import Limits
from osteon.lab.training.networks.flops import step_flops
from tiny_training import one_thread, tiny

LIMITS = Limits(float32_gops=10, int8_gops=40, memory_gbs=5, storage_gbs=0)
LEAST = setting.Effort(rounds=3, starts=1, films=6, distinct=3, indexed=20, steps=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx")


@pytest.fixture
def part(tmp_path: Path, model: Path) -> setting.Setting:
    return setting.Setting(folder=tmp_path / "part", model=str(model), limits=LIMITS, effort=LEAST)


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
        found = machine.describe_machine()
        assert 1 <= found.cores <= (os.cpu_count() or 1)
        assert found.packages["osteon"] == osteon.__version__
        assert {"numpy", "openvino", "pillow"} <= set(found.packages)
        text = repr(found)
        for secret in (os.uname().nodename, os.environ.get("USER", "")):
            assert len(secret) < 5 or secret not in text

    def test_in_words(self) -> None:
        found = machine.describe_machine()
        assert f"{found.cores} cores" in found.in_words()
        assert f"Python {found.python}" in found.in_words()

    def test_resident_memory_follows_what_is_held(self) -> None:
        before = machine.resident_mb()
        held = np.frombuffer(mmap.mmap(-1, 50_000_000), np.uint8)  # numpy's own could be memory that a training kept in this process
        held[:] = 1
        assert 40 < machine.resident_mb() - before < 70


class TestLimits:
    def test_all_are_measured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SHAPES", ((64, 16, 3),))
        monkeypatch.setattr(limits, "MATRIX", 128)
        monkeypatch.setattr(limits, "COPIED", 2**21)
        found = limits.measure_limits(tmp_path, rounds=2)
        assert min(found.float32_gops, found.int8_gops, found.memory_gbs) > 0
        assert found.storage_gbs >= 0
        assert list(tmp_path.iterdir()) == []

    def test_seconds(self) -> None:
        assert LIMITS.seconds(20e9) == 2
        assert LIMITS.seconds(20e9, "int8") == 0.5


class TestWork:
    def test_a_counted_network(self, model: Path) -> None:
        # Frame 64: Conv 4 x 4, stride 4, 1 -> 8 channels, then 8 -> 1; 16 x 16 and 4 x 4 outputs.
        assert work.work_of(model) == work.Work(operations=2 * (8 * 16 * 16 * 16 + 4 * 4 * 8 * 16), parameters=8 * 16 + 8 * 16)

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
        assert work.work_of(tmp_path / "m.onnx").operations == 2 * 6 * 8 * 10 * terms

    def test_no_model_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_text("text")
        for name in ("m.onnx", "absent.onnx"):
            with pytest.raises(ModelFileError, match="no ONNX model"):
                work.work_of(tmp_path / name)


class TestFilms:
    def test_made_films_are_films(self, tmp_path: Path) -> None:
        for path in [*films.make_films(tmp_path / "few", 2, side=128), *films.make_kinds(tmp_path / "kinds").values()]:
            assert max(osteon.read_film(path).pixels.shape) in (128, films.SIDE, max(films.LARGE))

    def test_links_cost_no_room(self, tmp_path: Path) -> None:
        made = films.make_films(tmp_path / "few", 2, side=128)
        many = films.link_many(made, tmp_path / "many", 5)
        assert len(set(many)) == 5
        assert many[4].samefile(made[0])


class TestParts:
    def test_prediction(self, part: setting.Setting) -> None:
        network, film = predicting.measure_prediction(part)
        assert (network.unit, film.unit, network.n) == ("ms", "ms", 3)
        assert network.limit == film.limit == pytest.approx(1e3 * 2 * (8 * 16**3 + 4 * 4 * 8 * 16) / 10e9)
        assert network.name.startswith("made@1.0.0, float32")

    def test_start_up(self, part: setting.Setting) -> None:
        kept, empty = predicting.measure_start_up(part)
        assert kept.limit == empty.limit
        assert kept.low <= kept.median <= kept.high

    def test_folder(self, part: setting.Setting) -> None:
        rate, memory = predicting.measure_folder(part)
        assert (rate.unit, memory.unit) == ("films/s", "MB")
        assert memory.limit is None

    def test_decode(self, part: setting.Setting) -> None:
        assert len(reading.measure_decode(part)) == 5

    def test_store_and_index(self, part: setting.Setting) -> None:
        [taken] = reading.measure_store(part)
        [indexed] = reading.measure_index(setting.Setting(folder=part.folder / "i", model=part.model, limits=LIMITS, effort=LEAST))
        assert taken.ratio
        assert indexed.ratio
        assert indexed.name.startswith("20 films")

    def test_the_arithmetic_of_a_step(self) -> None:
        with one_thread():
            whole, frozen = step_flops(tiny("freeze=0")), step_flops(tiny())
        # A pass backward asks for twice a pass forward, but for the first layer; with all blocks frozen only head and pyramid have one.
        assert frozen < whole / 2

    def test_training(self, part: setting.Setting) -> None:
        with one_thread():
            [steps] = training.measure_training(part, tiny("epochs=1"))
        assert steps.n >= 1
        assert steps.limit
        assert "lite0 at 64, batch 4" in steps.name


class TestRecord:
    def test_ratios_say_how_many_times_the_limit(self) -> None:
        spread = timing.Spread(20, 10, 30, 3)
        assert record.figure(("prediction", "a"), "ms", spread, 10, "peak").ratio == 2
        assert record.figure(("folder", "a"), "films/s", spread, 10, "peak").ratio == 0.5
        assert record.figure(("folder", "a"), "MB", spread).ratio is None

    def test_a_bench_is_whole(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "measure_limits", lambda *_: LIMITS)
        told: list[str] = []
        found = json.loads(run.run_bench(str(model), ["prediction"], LEAST, told.append).to_json())
        assert told == ["the machine's limits", "prediction"]
        assert found["schema"] == record.SCHEMA
        assert found["machine"]["packages"]["osteon"] == osteon.__version__
        assert found["limits"]["int8_gops"] == 40
        assert found["model"] == "made@1.0.0"
        assert [f["part"] for f in found["figures"]] == ["prediction", "prediction"]
        assert all(f["ratio"] for f in found["figures"])
        assert found["not_measured"] == {}

    def test_what_is_not_installed_is_said(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "measure_limits", lambda *_: LIMITS)
        monkeypatch.setitem(sys.modules, "polars", None)
        monkeypatch.delitem(sys.modules, "osteon.lab.data.store", raising=False)
        found = run.run_bench(str(model), ["store"], LEAST)
        assert found.figures == ()
        assert "osteon[lab]" in found.not_measured["store"]

    def test_a_model_that_is_not_there_is_refused_first(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="there is no such model file"):
            run.run_bench(str(tmp_path / "absent.onnx"))


def test_the_packaged_model_has_a_file() -> None:
    place = setting.Setting(folder=Path(), model="", limits=LIMITS, effort=LEAST)
    assert place.model_file.is_file()
    assert made_card().frame.size == 64
