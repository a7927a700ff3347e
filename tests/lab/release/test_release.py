"""From a training to the file that is handed out: interrupted at every stage the same file, and the same by the sub-commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
import pytest

from command_line import Typed
from made_index import made_index
from made_network import make_network
from made_run import made_run
from osteon.atomic import hold
from osteon.card import INT8_LIMITS, Card, DataSource, Pooling
from osteon.errors import LeakySplit, MeasurementError, OsteonError, UsageError
from osteon.lab.calibration.calibrate import CalibrationPlan
from osteon.lab.calibration.decision import Rule
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folder import PREDICTIONS, read_evaluation
from osteon.lab.evaluation.scoring import score_index, write_predictions
from osteon.lab.guard.fit import GuardPlan
from osteon.lab.progress import Progress
from osteon.lab.quantisation.quantise import Plan as Int8Plan
from osteon.lab.release.films import check_films
from osteon.lab.release.folder import Release
from osteon.lab.release.plan import ReleasePlan, lines, may_hold, read_plan
from osteon.lab.release.stages import STAGES, release
from osteon.lab.training.export import Export, Exported
from osteon.lab.training.run import RunFolder, RunRecord
from osteon.opening import load_model

SPLITS = {"train": 66, "tune": 66, "valid": 66}
FACTS = '{"finding": "bars", "data": [{"name": "made", "licence": "none", "source": "drawn"}]}'


class Killed(BaseException):
    """As Ctrl-C or a kill: nothing catches it."""


def quiet(_: Progress) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Ready:
    """A training that has ended, its index, and what its release is asked to be."""

    run: Path
    index: Path
    card: Card
    plan: ReleasePlan

    def export(self, asked: Export) -> Exported:
        """Write what an export writes, without torch: a small true network with the asked name."""
        card = msgspec.structs.replace(self.card, name=asked.name, version=asked.version)
        make_network(asked.out, card)
        return Exported(asked.out, card, 0.0)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    folder = tmp_path_factory.mktemp("ready")
    made = made_run(folder, pooling=Pooling(kind="logsumexp", sharpness=2.0, bias=-1.25))
    told = fingerprint(read_index(made_index(folder, SPLITS)))
    data = tuple(DataSource(name="made", films=66, split=split, fingerprint=told) for split in ("train", "more"))
    record = (made.run / "recipe.json").read_text(encoding="utf-8")
    (made.run / "recipe.json").write_text(record.replace(made.card.data[0].fingerprint, told), encoding="utf-8")
    (folder / "facts.json").write_text(FACTS)
    plan = ReleasePlan(
        runs=(str(made.run),), index=str(made.index), name="made", version="0.2.0", facts=str(folder / "facts.json"),
        calibration=CalibrationPlan(split="tune", rule=Rule("sensitivity", 0.8)), guard=GuardPlan(aim=0.01),
        int8=Int8Plan(), evaluation=Plan(by=("format",)), against=str(made.model),
    )  # fmt: skip
    found = Ready(made.run, made.index, msgspec.structs.replace(made.card, data=data), plan)
    with pytest.MonkeyPatch.context() as patch:
        for place in ("osteon.lab.release.stages", "osteon.lab.face.training"):
            patch.setattr(f"{place}.export_run", found.export)
        patch.setattr("osteon.lab.guard.fit.PICTURES", 5)
        for name in INT8_LIMITS:
            patch.setitem(INT8_LIMITS, name, 1.0)
        yield found


@pytest.fixture(scope="module")
def whole(ready: Ready, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "released"
    release(folder, ready.plan, "osteon release ...", quiet)
    return Release(folder, ready.plan)


def test_the_file_carries_all_that_was_asked(whole: Release, ready: Ready) -> None:
    card = load_model(whole.file).card
    assert (card.reference, card.finding, card.decision.split) == ("made@0.2.0", "bars", "tune")
    assert [source.licence for source in card.data] == ["none", "none"]
    assert card.decision.rule.startswith("sensitivity of at least 0.8")
    assert card.scope and card.scope.measured[0].kind == "films of valid"
    assert card.int8 and [cost.split for cost in card.int8.costs] == ["tune", "valid"]
    assert card.metrics == read_evaluation(whole.evaluation).metrics
    assert [(m.split, m.by, m.resamples) for m in card.measured] == [("valid", ("format",), 2000)]
    assert card.measured[0].fingerprint == fingerprint(read_index(ready.index))


def test_the_page_says_what_changed(whole: Release) -> None:
    page = whole.page.read_text(encoding="utf-8")
    for words in ("# made@0.2.0", "What changed against made@1.0.0", "| AUROC | 66 |", "pointing accuracy", "What INT8 costs"):
        assert words in page
    assert page.partition("```toml\n")[2].partition("```")[0].splitlines() == list(lines(whole.plan))
    assert (whole.report / "report.html").exists()
    assert (whole.comparison / "comparison.json").exists()


def test_interrupted_at_every_stage_it_comes_to_the_same_file(whole: Release, ready: Ready, tmp_path: Path) -> None:
    begun: list[str] = []
    for _ in range(len(STAGES)):

        def watch(at: Progress) -> None:
            if not at.done and not at.note and at.stage not in begun:
                begun.append(at.stage)
                raise Killed

        with pytest.raises(Killed):
            release(tmp_path / "out", ready.plan, "osteon release ...", watch)
    assert begun == list(STAGES)
    release(tmp_path / "out", ready.plan, "osteon release ...", quiet)
    assert Release(tmp_path / "out", ready.plan).file.read_bytes() == whole.file.read_bytes()


def test_the_sub_commands_make_the_same_file(whole: Release, ready: Ready, osteon: Typed) -> None:
    index = ("--index", ready.index)
    evaluate = (*index, "--split", "valid", "--by", "format")
    commands: list[tuple[object, ...]] = [
        ("export", ready.run, "--name", "made", "--version", "0.2.0", "-o", "exported.onnx"),
        ("calibrate", "--model", "exported.onnx", *index, "--split", "tune", "--rule", "sensitivity>=0.8", "-o", "calibrated.onnx"),
        ("card", "calibrated.onnx", "--facts", ready.plan.facts, "-o", "described.onnx"),
        ("guard", "described.onnx", *index, "--measure", "valid", "--aim", 0.01, "-o", "guarded.onnx"),
        ("quantise", "guarded.onnx", *index, "--report", "valid", "-o", "quantised.onnx"),
        ("evaluate", "--model", "quantised.onnx", *evaluate, "-o", "evaluation", "--card-into", whole.file.name),
    ]
    for command in commands:
        status, _, error = osteon(*command)
        assert status == 0, f"{command}: {error}"
    assert (osteon.folder / whole.file.name).read_bytes() == whole.file.read_bytes()


def test_a_result_that_is_gone_is_made_again_with_all_after_it(whole: Release, ready: Ready, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "out")
    here = Release(tmp_path / "out", ready.plan)
    shutil.rmtree(here.comparison)
    told: dict[str, str] = {}
    release(here.folder, ready.plan, "osteon release ...", lambda progress: told.setdefault(progress.stage, progress.note))
    assert [stage for stage, note in told.items() if note != "finished before"] == ["compared", "reported", "told"]
    assert here.page.read_text(encoding="utf-8") == whole.page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"version": "0.3.0"}, UsageError, "another version"),
        ({"evaluation": Plan(by=())}, UsageError, "another evaluation.by: ..format..., and not .."),
        ({"name": "Made"}, UsageError, "name 'Made'"),
        ({"version": "next"}, UsageError, "version 'next'"),
        ({"evaluation": Plan(split="tune")}, UsageError, "'tune' is reported, and is to be used to calibrate as well"),
        ({"evaluation": Plan(split="test")}, MeasurementError, "no film in split 'test'"),
        (
            {"evaluation": Plan(split="train"), "guard": None, "int8": None},
            LeakySplit,
            "has learned from 66 of the 66 films of split 'train'",
        ),
        ({"calibration": CalibrationPlan(split="train")}, LeakySplit, "which is to be calibrated on"),
    ],
)
def test_what_does_not_do_is_refused(
    whole: Release, ready: Ready, changes: dict[str, object], error: type[OsteonError], words: str
) -> None:
    with pytest.raises(error, match=words):
        release(whole.folder, msgspec.structs.replace(ready.plan, **changes), "", quiet)
    assert whole.file.exists()


def test_a_file_that_is_too_large_is_refused_before_anything_is_measured(ready: Ready, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"exported.onnx has 0\.0 MB, and a release 0\.001 at most"):
        release(tmp_path / "out", msgspec.structs.replace(ready.plan, largest=0.001), "", quiet)


def test_films_of_a_patient_that_was_learned_from_are_refused(ready: Ready, tmp_path: Path) -> None:
    films = read_index(ready.index)
    learned = films.filter(split="train")["group"][0]
    first = pl.int_range(pl.len()) == pl.int_range(pl.len()).filter(pl.col("split") == "valid").min()
    films.with_columns(group=pl.when(first).then(pl.lit(learned)).otherwise("group")).write_parquet(tmp_path / "index.parquet")
    plan = msgspec.structs.replace(ready.plan, index=str(tmp_path / "index.parquet"))
    with pytest.raises(LeakySplit, match=r"has learned from 1 of the .* films of split 'valid'"):
        release(tmp_path / "out", plan, "", quiet)


@pytest.mark.parametrize("setting", ["init", "average_with"])
def test_films_that_an_earlier_training_learned_from_are_refused(ready: Ready, tmp_path: Path, setting: str) -> None:
    earlier, later = (shutil.copytree(ready.run, tmp_path / name) for name in ("earlier", "later"))
    record = RunFolder(earlier).record()
    rewrite(earlier, msgspec.structs.replace(record, plan=msgspec.structs.replace(record.plan, train="valid")))
    rewrite(later, msgspec.structs.replace(record, recipe=msgspec.structs.replace(record.recipe, **{setting: str(earlier)})))
    plan = msgspec.structs.replace(ready.plan, runs=(str(later),))
    with pytest.raises(LeakySplit, match=f"{earlier} has learned from .* films of split 'valid'"):
        release(tmp_path / "out", plan, "", quiet)


def rewrite(run: Path, record: RunRecord) -> None:
    (run / "recipe.json").write_bytes(msgspec.json.encode(record))


def test_what_nothing_tells_is_noted(ready: Ready, tmp_path: Path) -> None:
    run = shutil.copytree(ready.run, tmp_path / "run")
    record = RunFolder(run).record()
    plan = msgspec.structs.replace(ready.plan, runs=(str(run),))
    rewrite(run, msgspec.structs.replace(record, recipe=msgspec.structs.replace(record.recipe, init="packaged")))
    assert any(
        note.startswith("weights come from a file, or from a training that is gone") for note in check_films(plan, read_index(ready.index))
    )
    rewrite(run, msgspec.structs.replace(record, plan=msgspec.structs.replace(record.plan, fingerprint="another")))
    assert any("is gone or has changed" in note for note in check_films(plan, read_index(ready.index)))


def test_another_folder_and_another_process_are_refused(ready: Ready, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(UsageError, match="holds something that is no release"):
        release(tmp_path, ready.plan, "", quiet)
    with hold(tmp_path / "out" / "lock") as _, pytest.raises(UsageError, match="another process works"):  # type: ignore[union-attr]
        release(tmp_path / "out", ready.plan, "", quiet)


def test_calibrated_on_a_cross_validation_the_card_says_so(whole: Release, ready: Ready, tmp_path: Path) -> None:
    scored = score_index(str(whole.step("exported")), ready.index, ["all"])
    write_predictions(scored, tmp_path / "cv" / PREDICTIONS)
    bare = msgspec.structs.replace(ready.plan, cross_validation=str(tmp_path / "cv"), guard=None, int8=None, facts="", against="")
    done = release(tmp_path / "out", bare, "", quiet)
    here = Release(tmp_path / "out", bare)
    card = load_model(here.file).card
    words = "the films of cross-validation 'cv', each scored by another training of recipe  () that had not learned from it"
    assert card.calibration.split == card.decision.split == words
    assert "132 films" in done.notes["calibrated"][0]
    assert "is no cross-validation's folder" in done.notes["films"][0]
    assert "No earlier model was named" in here.page.read_text(encoding="utf-8")


def test_the_command_goes_on_and_shows_the_page(ready: Ready, osteon: Typed) -> None:
    plan = osteon.folder / "plan.toml"
    plan.write_text(f'runs = ["{ready.run}"]\nindex = "{ready.index}"\nname = "made"\nversion = "0.1.0"\nguard = false\nint8 = false\n')
    words = ("release", plan, "--version", "0.2.0", "--against", "none", "-o", "out")
    status, out, error = osteon(*words)
    assert status == 0, error
    assert out.startswith("# made@0.2.0")
    assert "out/made-0.2.0.onnx: 0.1 MB" in out
    status, out, error = osteon(*words)
    assert status == 0
    assert "finished before" in error
    plan.write_text(plan.read_text() + "calibration.rule = 0.5\n")
    status, _, error = osteon(*words)
    assert status == 64
    assert "holds a release with another calibration.rule.kind: 'max-kappa', and not 'fixed'" in error


class TestPlan:
    """A plan is read as it is written."""

    def test_the_example_of_the_docs(self) -> None:
        plan = read_plan(Path("docs/release.toml"), {})
        assert plan.calibration.rule == Rule("sensitivity", 0.85) and plan.guard is not None and plan.guard.body_parts[0] == "HAND"
        assert plan.runs == (str(Path("docs/run").absolute()),)

    def test_written_and_read_it_is_the_same(self, ready: Ready, tmp_path: Path) -> None:
        for plan in (ready.plan, msgspec.structs.replace(ready.plan, guard=None, int8=None, calibration=CalibrationPlan(doubt=None))):
            (tmp_path / "plan.toml").write_text("\n".join(lines(plan)))
            assert read_plan(tmp_path / "plan.toml", {}) == plan

    def test_paths_are_relative_to_the_plan_and_options_go_before_it(self, tmp_path: Path) -> None:
        (tmp_path / "plan.toml").write_text('runs = ["a"]\nindex = "b"\nname = "c"\nversion = "1"\n[guard]\nout_of_scope = ["d"]\n')
        plan = read_plan(tmp_path / "plan.toml", {"name": "e", "index": "/f"})
        assert (plan.runs, plan.index, plan.name, plan.version) == ((str(tmp_path / "a"),), "/f", "e", "1")
        assert plan.guard and plan.guard.out_of_scope == (str(tmp_path / "d"),)
        assert plan.against.startswith("fracture@")  # the packaged model

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("largets = 3", "largets is no setting of a release. It may hold: runs, index, "),
            ("[guard]\naims = 3", "guard.aims is no setting of a release. .* guard.aim, "),
            ("[evaluation]\nthreshold = 0.5", "evaluation.threshold is no setting"),
            ("[guard]\naim = 0.5", "at `\\$.guard.aim`. Correct it"),
            ("[calibration]\nrule = 'best'", "'best' is no rule for a threshold"),
            ("name = 3", "at `\\$.name`. Correct it"),
            ("name", "no TOML"),
        ],
    )
    def test_what_no_release_has_is_refused(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "plan.toml").write_text(f'runs = ["a"]\nindex = "b"\nversion = "1"\n{text}\n')
        with pytest.raises(UsageError, match=words):
            read_plan(tmp_path / "plan.toml", {})

    def test_too_little_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "plan.toml").write_text('runs = ["a"]\n')
        with pytest.raises(UsageError, match=r"missing required field `index`.* a plan may hold: runs, index, name"):
            read_plan(tmp_path / "plan.toml", {})

    def test_help_says_what_a_plan_may_hold(self, osteon: Typed) -> None:
        told = osteon("release", "--help")[1]
        for name in may_hold():
            assert all(part in told for part in name.split(".")), name
