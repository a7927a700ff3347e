"""What `osteon` shows of itself: whoever changes a line here changes what other people's programs rest on."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import osteon

NAMES = """
    BadManifest BlankFilm Card CheckpointError CountMismatch DatasetError DivergedTraining EmptyDataset Film FilmError FilmPrediction
    LeakySplit MeasurementError MissingExtra MissingWeights Model ModelFileError OsteonError OversizedFilm Prediction Predictions
    TrainingError UnreadableFilm UnsupportedFilm UsageError __version__ errors load_model predict read_film
"""


def test_the_names() -> None:
    assert dir(osteon) == NAMES.split()
    assert [name for name in NAMES.split() if not hasattr(osteon, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'guess'"):
        _ = osteon.guess


def test_every_refusal_is_there() -> None:
    tree = {cls.__name__ for cls in vars(osteon.errors).values() if inspect.isclass(cls)}
    assert tree == {name for name in NAMES.split() if inspect.isclass(thing := getattr(osteon, name)) and issubclass(thing, Exception)}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("predict", "what, model=None, *, study_by='auto', bone=None, guard=True, maps=None"),
        ("load_model", "path=None, precision='auto', *, side_by_side=False, site=None"),
        ("read_film", "source, name='', bone=None"),
        ("Model.predict", "self, films, study='', *, guard=True"),
        ("Model.predict_film", "self, film, placement=None, *, guard=True"),
        ("Model.run", "self, batch"),
        ("Prediction.to_dict", "self"),
        ("Prediction.overlay", "self, film=None"),
        ("FilmPrediction.to_dict", "self"),
        ("FilmPrediction.overlay", "self, film=None"),
        ("Predictions.to_dict", "self"),
    ],
)
def test_the_signatures(name: str, parameters: str) -> None:
    thing = osteon
    for part in name.split("."):
        thing = getattr(thing, part)
    given = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    bare = inspect.Signature([p.replace(annotation=p.empty) for p in given])
    assert str(bare) == f"({parameters})"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Film", "pixels path format truncated study_type view study remarks patient"),
        (
            "FilmPrediction",
            "film logit probability level study_type truncated remarks reason error peak overlay_file study_uid patient card placement "
            "evidence seen",
        ),
        ("Prediction", "study probability level films model"),
    ],
)
def test_the_fields(name: str, fields: str) -> None:
    assert list(getattr(osteon, name).__dataclass_fields__) == fields.split()


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, osteon; dir(osteon); osteon.UsageError; print(*(m for m in sys.modules if m.startswith('osteon.')))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["osteon.errors", "osteon.version"]
