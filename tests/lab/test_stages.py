"""Locks and stages, where no test of the rooms that use them says more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from osteon.atomic import LOCK, hold
from osteon.lab.stages import Staged, Tell, changed, run_stages, shared, still_finished


class Asked(Staged, frozen=True, kw_only=True):
    plan: dict[str, object]
    sources: dict[str, str] = msgspec.field(default_factory=dict)


def test_what_differs_is_said_by_its_dotted_name() -> None:
    now = Asked(plan={"guard": {"aim": 0.1}, "name": "a"}, sources={"b": "1"})
    assert changed(now, msgspec.structs.replace(now, finished=("a",), notes={"a": ("b",)})) == ""
    other = msgspec.structs.replace(now, plan={"guard": {"aim": 0.2}, "name": "a"})
    assert changed(now, other) == "another guard.aim: 0.1, and not 0.2"
    assert changed(now, other, {"plan.guard": ""}) == ""
    other = msgspec.structs.replace(now, sources={"b": "2"})
    assert changed(now, other, {"sources": "another content of {}"}) == "another content of b"


def test_what_was_made_of_a_result_that_is_gone_goes(tmp_path: Path) -> None:
    results = {name: (tmp_path / name,) for name in "abcd"}
    for name in "acd":
        (tmp_path / name).touch()
    record = still_finished(Staged(finished=("a", "b", "c")), results, stay=("c",))
    assert record.finished == ("a",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_a_stage_that_is_finished_is_not_done_again(tmp_path: Path) -> None:
    done: list[str] = []

    def stage(name: str) -> tuple[str, ...]:
        done.append(name)
        return (f"{name} is done",)

    def one(tell: Tell) -> tuple[str, ...]:
        tell(1, 2)
        return stage("one")

    told: list[tuple[object, ...]] = []
    stages = {"zero": lambda _: stage("zero"), "one": one, "two": lambda _: stage("two")}
    record = run_stages(
        Staged(finished=("zero",)), tmp_path / "record.json", stages, lambda p: told.append((p.stage, p.done, p.total, p.note)), "one"
    )
    assert done == ["one"] and record.notes == {"one": ("one is done",)}
    assert msgspec.json.decode((tmp_path / "record.json").read_bytes(), type=Staged) == record
    assert told == [("zero", 1, 1, "finished before"), ("one", 0, 1, ""), ("one", 1, 2, ""), ("one", 1, 1, "one is done")]


def test_work_is_shared(tmp_path: Path) -> None:
    def lock_of(name: str) -> Path:
        return tmp_path / name / LOCK

    taken, waited = hold(lock_of("a")), []
    assert taken is not None
    assert list(shared("abc", lock_of)) == [("b", True), ("c", True), ("a", False)]

    def waiting(name: str) -> None:
        waited.append(name)
        taken.lock.release()

    assert list(shared("abc", lock_of, waiting)) == [("b", True), ("c", True), ("a", True)]
    assert waited == ["a"]


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from osteon.atomic import hold\n"
        "lock = hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert hold(tmp_path / "lock", wait=False) is None
        holder.kill()
    lock = hold(tmp_path / "lock", wait=False)
    assert lock is not None
    lock.lock.release()
