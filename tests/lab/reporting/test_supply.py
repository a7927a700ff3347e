"""What a report needs: named, made once and kept, or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from made_model import make_model
from made_run import Made, made_run
from osteon.atomic import write_json
from osteon.card import Calibration
from osteon.errors import MeasurementError, UsageError
from osteon.lab.evaluation.folder import EVALUATION, PREDICTIONS
from osteon.lab.evaluation.scoring import write_predictions
from osteon.lab.progress import Progress, Watch
from osteon.lab.reporting.folder import report_run
from osteon.lab.reporting.supply import SCORE, Measured, supply_evaluation, supply_model
from osteon.lab.training.run import RunFolder


def supply(made: Made, out: Path, watch: Watch = lambda _: None, **changes: object) -> Measured:
    """The model, then the evaluation, as a report asks for them."""
    request, run = made.request(out, **changes), RunFolder(made.run)
    return supply_evaluation(request, run.record(), supply_model(request, run, watch), watch)


def evaluated(made: Made, folder: Path) -> Path:
    """An evaluation as `osteon evaluate` leaves it, without its curves."""
    measured = made.material(folder).measured
    assert measured.predictions is not None
    write_predictions(measured.predictions, folder / PREDICTIONS)
    write_json(measured.evaluation, folder / EVALUATION)
    return folder


def test_an_evaluation_is_made_once_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.stage == "measure":
            raise Stop

    made, stages = made_run(tmp_path), list[str]()
    with pytest.raises(Stop):
        supply(made, tmp_path / "out", stop)
    first = supply(made, tmp_path / "out", lambda progress: stages.append(progress.stage))
    assert stages == ["measure"]
    assert supply(made, tmp_path / "out", lambda progress: stages.append(progress.stage)).evaluation == first.evaluation
    assert stages == ["measure"]
    moved = made.index.rename(tmp_path / "moved.parquet")
    supply(made, tmp_path / "out", lambda progress: stages.append(progress.stage), index=moved)
    assert SCORE in stages


def test_no_run(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    with pytest.raises(UsageError, match="holds no training"):
        report_run(made.request(tmp_path / "out", run=tmp_path / "films"))
    assert not (tmp_path / "out").exists()


def test_no_pass_ended_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has not finished an epoch\. Go on with: osteon train --resume"):
        supply(made_run(tmp_path, passes=0), tmp_path / "out", model=None)


def test_the_index_is_gone_and_no_model(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    made.index.unlink()
    with pytest.raises(UsageError, match="Put it back, or name the model"):
        supply(made, tmp_path / "out", model=None)


def test_a_model_of_another_run(tmp_path: Path) -> None:
    other = make_model(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match=r"other\.onnx: made@1\.0\.0 was not made from"):
        supply(made_run(tmp_path), tmp_path / "out", model=other)


def test_a_model_that_reads_films_at_another_size_than_it_learned_at(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    run = RunFolder(made.run)
    record = run.record()
    frame = msgspec.structs.replace(record.recipe.frame, size=128)
    recipe = msgspec.structs.replace(record.recipe, frame=frame, read_at=record.recipe.frame.size)
    run.record_file.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, recipe=recipe)))
    assert supply(made, tmp_path / "out", model=made.model).evaluation


def test_an_evaluation_of_another_model(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    sharper = msgspec.structs.replace(made.card, calibration=Calibration(slope=0.5, split="tune"))
    file = make_model(tmp_path / "sharper.onnx", sharper, kind="brightness")
    with pytest.raises(UsageError, match=r"the evaluation is of made@1\.0\.0, and not of"):
        supply(made, tmp_path / "out", model=file, evaluation=evaluated(made, tmp_path / "evaluation"))


def test_an_evaluation_holds_for_a_copy_with_other_words(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    folder = evaluated(made, tmp_path / "evaluation")
    file = make_model(tmp_path / "described.onnx", msgspec.structs.replace(made.card, limits="Made films alone."), kind="brightness")
    for named in (folder, folder / EVALUATION):
        measured = supply(made, tmp_path / "out", model=file, evaluation=named)
        assert measured.evaluation.origin.model == "made@1.0.0"
        assert measured.predictions is not None


def test_no_such_split(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="there is no film in split 'test'; there are: valid"):
        supply(made_run(tmp_path), tmp_path / "out", split="test")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written .* name another folder with -o"):
        report_run(made.request(tmp_path / "file" / "out"))
