"""Model x index -> predictions, and tables from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from made_index import made_index
from made_model import made_card, make_model
from made_predictions import made_films, made_predictions
from osteon.errors import MeasurementError, ModelFileError
from osteon.explanation import peak
from osteon.film import read_film
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.localisation import COLUMNS, locate
from osteon.lab.evaluation.scoring import SCORES, Origin, Predictions, of_split, read_predictions, score, score_index, write_predictions
from osteon.lab.model_file import file_sha256
from osteon.opening import load_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and an index of made films."""
    folder = tmp_path_factory.mktemp("scoring")
    return make_model(folder / "model.onnx", made_card(64), "brightness"), made_index(folder)


@pytest.fixture(scope="module")
def scored(made: tuple[Path, Path]) -> Predictions:
    """The index's validation part, scored."""
    return score_index(str(made[0]), made[1], ["valid"], "osteon evaluate")


def test_a_row_a_film_with_the_models_own_numbers(made: tuple[Path, Path], scored: Predictions) -> None:
    model, films = load_model(made[0]), read_index(made[1]).filter(pl.col("split") == "valid")
    assert scored.films["path"].to_list() == films["path"].to_list()
    assert set(films.columns) | set(SCORES) <= set(scored.films.columns)
    for row in scored.films.iter_rows(named=True):
        told = model.predict_film(read_film(Path(row["root"]) / row["path"]))
        assert (row["logit"], row["probability"], row["error"]) == (told.logit, told.probability, "")
        assert told.placement is not None
        assert told.evidence is not None
        if row["boxes"]:
            found = locate(told.evidence, told.placement, 64, row["boxes"])
            assert [row[c] for c in COLUMNS] == [found[c] for c in COLUMNS]
            assert (row["peak_x"], row["peak_y"]) == peak(told.evidence, told.placement, 64)[:2]
        else:
            assert all(row[c] is None for c in COLUMNS)


def test_the_origin_says_what_made_them(made: tuple[Path, Path], scored: Predictions) -> None:
    origin = scored.origin
    assert (origin.model, origin.model_sha256, origin.command) == ("made@1.0.0", file_sha256(made[0]), "osteon evaluate")
    assert origin.fingerprint == fingerprint(read_index(made[1]))
    assert scored.card == load_model(made[0]).card


def test_refused_films_stay_with_their_reason(made: tuple[Path, Path], tmp_path: Path) -> None:
    films = read_index(made[1]).filter(pl.col("split") == "valid")
    root = tmp_path / "films"
    shutil.copytree(films["root"][0], root)
    (root / films["path"][1]).write_bytes(b"no film")
    films = films.with_columns(root=pl.lit(str(root)), sha256=pl.lit(""))
    films = films.with_columns(status=pl.when(pl.col("path") == films["path"][3]).then(pl.lit("unreadable")).otherwise("status"))
    table = score(load_model(made[0]), films, store=tmp_path / "store")
    assert table["path"].to_list() == films["path"].to_list()
    refused = table.filter(pl.col("error") != "")
    assert refused["path"].to_list() == [films["path"][1], films["path"][3]]
    assert refused["probability"].null_count() == 2
    assert "neither PNG, JPEG, TIFF nor DICOM" in refused["error"][0]
    assert refused["error"][1].endswith("unreadable when it was indexed")


def test_where_all_films_are_refused_a_table_says_so(made: tuple[Path, Path], tmp_path: Path) -> None:
    films = read_index(made[1]).head(3).with_columns(status=pl.lit("unreadable"))
    table = score(load_model(made[0]), films, store=tmp_path / "store")
    assert (table["error"] != "").all()
    assert table["logit"].null_count() == 3


def test_progress_ends_at_the_number_of_films(made: tuple[Path, Path]) -> None:
    seen: list[tuple[int, int]] = []
    score_index(str(made[0]), made[1], ["valid"], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)


def test_what_is_written_is_read(scored: Predictions, tmp_path: Path) -> None:
    write_predictions(scored, tmp_path / "folder" / "p.parquet")
    again = read_predictions(tmp_path / "folder" / "p.parquet")
    assert again.origin == scored.origin
    assert again.films.equals(scored.films)
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["p.parquet"]


def test_an_index_brings_labels_and_columns_to_a_table_of_another_program(tmp_path: Path) -> None:
    films = made_films(studies=20)
    films.select("path", pl.col("probability").alias("probability")).write_csv(tmp_path / "p.csv")
    index = films.drop(*SCORES).with_columns(scanner=pl.lit("A"))
    read = read_predictions(tmp_path / "p.csv", index)
    assert read.films["probability"].to_list() == pytest.approx(films["probability"].to_list())
    assert read.films["label"].to_list() == films["label"].to_list()
    assert set(read.films["scanner"]) == {"A"}
    assert read.card is None


def test_logits_become_probabilities(tmp_path: Path) -> None:
    films = made_films(studies=10)
    films.select("path", "logit", "label").write_csv(tmp_path / "p.csv")
    read = read_predictions(tmp_path / "p.csv").films
    np.testing.assert_allclose(read["probability"], 1 / (1 + np.exp(-films["logit"])))


def test_unknown_films_are_counted_and_unpredicted_ones_refused(tmp_path: Path) -> None:
    films = made_films(studies=20)
    index = films.drop(*SCORES)
    pl.concat([films.select("path", "probability").head(30), pl.DataFrame({"path": ["elsewhere.png"], "probability": [0.5]})]).write_csv(
        tmp_path / "p.csv"
    )
    read = read_predictions(tmp_path / "p.csv", index)
    assert read.stray == ("elsewhere.png",)
    assert (read.films["error"] == "no prediction for it").sum() == len(films) - 30


def test_predictions_of_studies_take_a_row_a_study_of_the_index(tmp_path: Path) -> None:
    films = made_films(studies=20)
    studies = films.group_by("study", maintain_order=True).agg(pl.col("probability").mean())
    studies.write_csv(tmp_path / "p.csv")
    read = read_predictions(tmp_path / "p.csv", films.drop(*SCORES)).films
    assert len(read) == 20
    assert set(read["path"]) == {""}
    assert read.select("study", "probability").sort("study").equals(studies.sort("study"))


def test_without_groups_the_patient_else_the_study_is_the_cluster(tmp_path: Path) -> None:
    films = made_films(studies=10).drop("group")
    films.select("path", "study", "patient", "label", "probability").write_csv(tmp_path / "p.csv")
    assert read_predictions(tmp_path / "p.csv").films["group"].to_list() == films["patient"].to_list()
    films.select("path", "study", "label", "probability").write_csv(tmp_path / "p.csv")
    assert read_predictions(tmp_path / "p.csv").films["group"].to_list() == films["study"].to_list()
    films.select("path", "label", "probability").write_csv(tmp_path / "p.csv")
    assert read_predictions(tmp_path / "p.csv").films["group"].to_list() == films["path"].to_list()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,label\na,1\n", "have the columns"),
        ("probability,label\n0.5,1\n", "have the columns"),
        ("path,probability,label\na,1.5,1\n", "outside 0 to 1"),
        ("path,probability,label\na,high,1\n", "holds no numbers"),
        ("path,probability\na,0.5\n", "carry no labels"),
        ("", "no table of predictions"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "p.csv").write_text(table)
    with pytest.raises(MeasurementError, match=words):
        read_predictions(tmp_path / "p.csv")


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    with pytest.raises(MeasurementError, match="no table of predictions"):
        read_predictions(tmp_path / "p.parquet")
    with pytest.raises(MeasurementError, match="there is no such table"):
        read_predictions(tmp_path / "absent.csv")


def test_predictions_that_the_index_does_not_know_are_refused(tmp_path: Path) -> None:
    index = made_films(studies=5).drop(*SCORES)
    (tmp_path / "p.csv").write_text("path,probability\nelsewhere.png,0.5\n")
    with pytest.raises(MeasurementError, match="none of the 1 predictions is of a film that the index knows"):
        read_predictions(tmp_path / "p.csv", index)
    (tmp_path / "p.csv").write_text("path,probability\na.png,0.5\na.png,0.6\n")
    with pytest.raises(MeasurementError, match="2 rows of the predictions share"):
        read_predictions(tmp_path / "p.csv", index)


def test_a_missing_probability_is_no_prediction(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path,probability,label\na,0.5,1\nb,,0\nc,nan,0\n")
    pl.DataFrame({"path": ["a", "b", "c"], "probability": [0.5, None, float("nan")], "label": [1, 0, 0]}).write_parquet(
        tmp_path / "p.parquet"
    )
    for table in ("p.csv", "p.parquet"):
        films = read_predictions(tmp_path / table).films
        assert films["error"].to_list() == ["", "no prediction for it", "no prediction for it"]


def test_all_takes_every_split() -> None:
    predictions = made_predictions(studies=5)
    assert of_split(predictions, "all").films.equals(predictions.films)
    assert Predictions(predictions.films, Origin()).card is None


def test_a_model_that_is_not_there_is_refused(made: tuple[Path, Path]) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        score_index("absent.onnx", made[1], ["valid"])
