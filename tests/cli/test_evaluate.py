"""`osteon evaluate`, `compare` and `calibrate` as a person types them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from command_line import Typed
from made_index import made_index
from made_model import made_card, make_model
from made_predictions import made_films, made_predictions
from osteon.card import DataSource
from osteon.lab.data.index import COLUMNS
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.evaluation.folder import predictions_of, read_evaluation
from osteon.lab.evaluation.scoring import Predictions, write_predictions
from osteon.opening import load_model


def table(name: str, films: pl.DataFrame | None = None, noise: float = 0, **origin: object) -> None:
    made = made_predictions(films)
    logit = made.films["logit"].to_numpy() + noise * np.random.default_rng(0).normal(size=len(made.films))
    rows = made.films.with_columns(logit=pl.Series(logit), probability=pl.Series(1 / (1 + np.exp(-logit))))
    write_predictions(Predictions(rows, msgspec.structs.replace(made.origin, **origin)), Path(name))


def test_evaluate_runs_the_model_and_writes_everything(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64), "brightness")
    made_index(osteon.folder)
    words = ("evaluate", "--model", "m.onnx", "--index", "index.parquet", "--split", "valid", "-o", "e", "--resamples", "200")
    status, out, _ = osteon(*words)
    assert status == 0
    assert "made@1.0.0 on 'valid'" in out
    evaluation = read_evaluation(Path("e"))
    assert evaluation.command == evaluation.origin.command == "osteon " + " ".join(words)
    assert evaluation.counts.films == len(predictions_of(Path("e")).films) == 6
    again, out_again, _ = osteon("evaluate", "--predictions", "e/predictions.parquet", "-o", "e2", "--resamples", "200")
    assert again == 0
    assert read_evaluation(Path("e2")).metrics == evaluation.metrics
    assert out_again.splitlines()[1:-1] == out.splitlines()[1:-1]


def test_evaluate_reads_what_predict_wrote(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64), "brightness")
    made_index(osteon.folder)
    films = pl.read_parquet("index.parquet")
    top = Path(films["root"][0])
    (top / films["path"][0]).rename(top / "=1+\n'1.png")
    films.with_columns(path=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("=1+\n'1.png")).otherwise("path")).write_parquet(
        "index.parquet"
    )
    assert osteon("predict", top, "--model", "m.onnx", "--no-guard", "--json", "a.json", "--csv", "a.csv")[0] == 0
    assert osteon("evaluate", "--model", "m.onnx", "--index", "index.parquet", "--split", "all", "-o", "e", "--resamples", "200")[0] == 0
    for answers in ("a.json", "a.csv"):
        status, _, error = osteon(
            "evaluate", "--predictions", answers, "--index", "index.parquet", "--split", "all", "-o", answers[2:], "--resamples", "200"
        )
        assert status == 0, error
        mine, theirs = (predictions_of(Path(folder)).films["probability"].to_numpy() for folder in (answers[2:], "e"))
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert "Give the index" in osteon("evaluate", "--predictions", "a.csv")[2]
    (osteon.folder / "a.json").write_text("{}")
    assert "no answers of osteon predict" in osteon("evaluate", "--predictions", "a.json", "--index", "index.parquet")[2]


def test_the_table_shows_muras_readers_and_the_subgroups(osteon: Typed) -> None:
    words = ("evaluate", "--predictions", "p.parquet", "--prevalence", "0.1", "--by", "status", "--resamples", "200")
    readers = ("radiologist 3", "0.705", "far too narrow")
    for root in ("/data/MURA-v1.1", "/hospital/films"):
        table("p.parquet", made_films().with_columns(root=pl.lit(root)))
        status, out, _ = osteon(*words)
        assert status == 0
        assert all((told in out) == root.endswith("MURA-v1.1") for told in readers)
        assert all(told in out for told in ("PPV at prevalence 0.1", "view: lateral", "hardware: 1", "wrist"))


def test_an_evaluation_begins_with_a_verdict(osteon: Typed) -> None:
    for separation, verdict in (
        (4.0, "Good at telling abnormal from normal: AUROC 0.9"),
        (0.0, "No better than chance: AUROC 0."),
        (-4.0, "Worse than"),
    ):
        table("p.parquet", made_films(separation=separation))
        out = osteon("evaluate", "--predictions", "p.parquet", "--resamples", "200")[1].splitlines()
        assert out[2].startswith(verdict)
        assert ("What may help: labels that fit the films" in out[2]) == (separation < 1)


def test_calibrating_a_model_that_is_no_good_says_what_to_do(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64))
    table("p.parquet", made_films(separation=-2.0).with_columns(split=pl.lit("tune")))
    words = ("calibrate", "--model", "m.onnx", "--predictions", "p.parquet", "-o", "n.onnx")
    status, _, err = osteon(*words)
    assert status == 65
    assert "so nothing can be calibrated. What may help: " in err
    table("p.parquet", made_films(separation=2.0).with_columns(split=pl.lit("tune")))
    assert osteon(*words)[1].splitlines()[2].startswith("Better than chance, but not good: AUROC 0.") or "Good at" in osteon(*words)[1]


def test_refused_films_are_shown_and_make_the_status_1(osteon: Typed) -> None:
    films = made_films(studies=30)
    said = pl.col("path") == films["path"][0]
    made = made_predictions(films)
    refused = made.films.with_columns(
        probability=pl.when(said).then(None).otherwise("probability"), error=pl.when(said).then(pl.lit("a.png: empty")).otherwise("error")
    )
    write_predictions(Predictions(refused, made.origin), Path("p.parquet"))
    status, out, _ = osteon("evaluate", "--predictions", "p.parquet", "--resamples", "200")
    assert status == 1
    assert "1 films were refused" in out
    assert "refused: a.png: empty" in out
    assert read_evaluation(Path("evaluation")).counts.refused_films == 1


def test_several_splits_get_a_folder_each(osteon: Typed) -> None:
    films = made_films(studies=40).with_columns(
        split=pl.when(pl.col("study_type") < "HAND").then(pl.lit("tune")).otherwise(pl.lit("valid"))
    )
    table("p.parquet", films)
    status, _, _ = osteon("evaluate", "--predictions", "p.parquet", "--split", "tune", "--split", "valid", "--resamples", "200")
    assert status == 0
    assert {read_evaluation(Path("evaluation") / s).plan.split for s in ("tune", "valid")} == {"tune", "valid"}


def test_the_metrics_go_into_a_card(osteon: Typed) -> None:
    model = make_model(osteon.folder / "m.onnx", made_card(64), "brightness")
    made_index(osteon.folder)
    status, out, _ = osteon("evaluate", "--model", "m.onnx", "--index", "index.parquet", "--card-into", "n.onnx", "--resamples", "200")
    assert status == 0
    assert "metrics in its card" in out
    assert load_model("n.onnx").card.metrics == read_evaluation(Path("evaluation")).metrics
    assert load_model(model).card.metrics == ()
    make_model(osteon.folder / "other.onnx", made_card(64))
    status, _, err = osteon(
        "evaluate", "--model", "other.onnx", "--predictions", "evaluation", "--card-into", "o.onnx", "--resamples", "200"
    )
    assert status == 64
    assert "is not the model file that made these predictions" in err


def test_against_says_what_was_gained_on_the_same_films(osteon: Typed) -> None:
    make_model(osteon.folder / "old.onnx", msgspec.structs.replace(made_card(64), name="old"))
    make_model(osteon.folder / "new.onnx", made_card(64), "brightness")
    made_index(osteon.folder, {"valid": 36})
    words = ("evaluate", "--model", "new.onnx", "--index", "index.parquet", "--against", "old.onnx", "-o", "e", "--resamples", "200")
    status, out, _ = osteon(*words)
    assert status == 0
    comparison = msgspec.json.decode(Path("e/comparison.json").read_bytes(), type=Comparison)
    assert (comparison.a.model, comparison.b.model, comparison.films) == ("old@1.0.0", "made@1.0.0", 36)
    gained = {d.level: d for d in comparison.differences if (d.group, d.name) == ("all", "auroc")}
    film = gained["film"]
    assert film.value is not None and film.value > 0.3 and film.low is not None and film.high is not None
    assert "A old@1.0.0, B made@1.0.0 on 'valid'" in out
    assert f"Film AUROC is {film.value:.3f} higher ({film.low:.3f} to {film.high:.3f}).\n" in out and "Study AUROC is " in out
    assert osteon("compare", "e/a.parquet", "e", "-o", "c")[0] == 0  # neither model is needed again
    kept = msgspec.json.decode(Path("c/comparison.json").read_bytes(), type=Comparison)
    assert [(d.group, d.name, d.value) for d in kept.differences] == [(d.group, d.name, d.value) for d in comparison.differences]
    status, out, _ = osteon("evaluate", "--predictions", "e", "--against", "e", "-o", "f", "--resamples", "200")
    assert status == 0 and out.count("AUROC is 0.000 higher (0.000 to 0.000): no difference beyond chance.") == 2


def test_against_goes_by_the_split(osteon: Typed) -> None:
    films = made_films(studies=40).with_columns(
        split=pl.when(pl.col("study_type") < "HAND").then(pl.lit("tune")).otherwise(pl.lit("valid"))
    )
    table("p.parquet", films)
    table("q.parquet", films, noise=1.5, model="noisy@2")
    splits = ("--split", "tune", "--split", "valid")
    status, _, _ = osteon("evaluate", "--predictions", "p.parquet", "--against", "q.parquet", *splits, "--resamples", "200")
    assert status == 0
    told = [msgspec.json.decode((Path("evaluation") / s / "comparison.json").read_bytes(), type=Comparison) for s in ("tune", "valid")]
    assert [c.split for c in told] == ["tune", "valid"]


def test_compare_shows_differences_and_where(osteon: Typed) -> None:
    table("a.parquet")
    table("b.parquet", noise=1.5, model="noisy@2")
    status, out, _ = osteon("compare", "a.parquet", "b.parquet", "-o", "c")
    assert status == 0
    for words in ("A made@1.0.0, B noisy@2", "study, AUROC", "McNemar", "They disagree on", "disagreements.csv and .png"):
        assert words in out
    assert {file.name for file in Path("c").iterdir()} == {"comparison.json", "disagreements.csv", "disagreements.png"}


def test_calibrate_writes_a_model_that_says_so(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64))
    table("p.parquet", made_films().with_columns(split=pl.lit("tune")))
    status, out, _ = osteon("calibrate", "--model", "m.onnx", "--predictions", "p.parquet", "-o", "n.onnx", "--rule", "sensitivity>=0.9")
    assert status == 0
    card = load_model("n.onnx").card
    assert (card.calibration.split, card.decision.split) == ("tune", "tune")
    assert card.decision.rule.startswith("sensitivity of at least 0.9")
    assert "logistic (chosen)" in out
    made = {file.name for file in Path("n.calibration").iterdir()}
    figures = {f"{name}.{kind}" for name in ("answers", "calibration") for kind in ("png", "svg", "pdf")}
    assert made == {"calibration.json", *figures}


def test_calibrate_takes_a_cross_validation_and_the_splits_that_the_index_names(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64, data=(DataSource(name="made", split="train"),)))
    films = made_films()
    half = pl.col("patient") < films["patient"].sort()[len(films) // 2]
    film = {"format": "PNG", "sha256": "", "boxes": None}
    index = films.select(*(c for c in COLUMNS if c not in film)).with_columns(
        pl.lit(value, COLUMNS[name]).alias(name) for name, value in film.items()
    )
    index.with_columns(split=pl.when(half).then(pl.lit("train")).otherwise(pl.lit("valid"))).write_parquet("index.parquet")
    Path("cv").mkdir()
    table("cv/predictions.parquet", films.with_columns(split=pl.when(half).then(pl.lit("fold-0")).otherwise(pl.lit("fold-1"))))
    words = ("calibrate", "--model", "m.onnx", "--predictions", "cv", "-o", "n.onnx")
    assert "(index, --index)" in osteon(*words)[2]
    status, out, _ = osteon(*words, "--index", "index.parquet", "--split", "train")
    assert status == 0 and f"{films.filter(half).height:,} films" in out
    card = load_model("n.onnx").card
    assert card.calibration.split.startswith("the films of cross-validation 'cv', each scored by another training")
    assert osteon(*words, "--index", "index.parquet")[1].count(f"{films.height:,} films") == 1
    assert "none of its predictions is of a film of split test" in osteon(*words, "--index", "index.parquet", "--split", "test")[2]
    table("p.parquet", films)
    status, _, err = osteon("calibrate", "--predictions", "p.parquet", "--split", "a", "--split", "b", "-o", "n.onnx")
    assert status == 64 and "a model is calibrated on one split" in err


def test_calibrate_refuses_the_training_split_by_its_films_not_by_its_name(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64, data=(DataSource(name="made", split="tune", fingerprint="f00d"),)))
    table("p.parquet", made_films().with_columns(split=pl.lit("tune")))
    words = ("calibrate", "--model", "m.onnx", "--predictions", "p.parquet", "-o", "n.onnx")
    status, _, err = osteon(*words)
    assert status == 65
    assert "trained on split 'tune'" in err
    assert not Path("n.onnx").exists()
    table("p.parquet", made_films().with_columns(split=pl.lit("tune"), root=pl.lit("/hospital/made")), fingerprint="beef")
    assert "trained on split 'tune'" in osteon(*words)[2]  # another state of the same data set may hold the same films
    table("p.parquet", made_films().with_columns(split=pl.lit("tune")), fingerprint="beef")
    assert osteon(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("evaluate",), 64, r"name the index (index, --index)"),
        (("evaluate", "--predictions", "absent.parquet"), 65, "there is no such table"),
        (("evaluate", "--predictions", "p.parquet", "--split", "test"), 65, "no film in split 'test'"),
        (("evaluate", "--predictions", "p.parquet", "--by", "scanner"), 64, "no column 'scanner'"),
        (("evaluate", "--predictions", "broken.parquet"), 65, "no table of predictions"),
        (("evaluate", "--model", "absent.onnx", "--index", "i.parquet"), 65, "no such model file"),
        (("evaluate", "--predictions", "p.parquet", "--against", "packaged"), 64, r"name the index (index, --index)"),
        (("evaluate", "--predictions", "p.parquet", "--against", "absent.parquet"), 65, "there is no such table"),
        (("compare", "p.parquet", "absent"), 64, "absent is no table of predictions, and a model is run on an index"),
        (("calibrate", "--model", "absent.onnx", "-o", "n.onnx"), 65, "no such model file"),
        (("calibrate", "--rule", "best", "-o", "n.onnx"), 64, "is no rule"),
        (("calibrate", "--uncertain", "best", "-o", "n.onnx"), 64, "says nothing of --uncertain"),
    ],
)
def test_bad_input_gets_one_line(osteon: Typed, words: tuple[str, ...], status: int, reason: str) -> None:
    table("p.parquet", made_films(studies=4))
    Path("broken.parquet").write_bytes(b"broken")
    code, _, err = osteon(*words)
    assert code == status
    [line] = [line for line in err.splitlines() if line.startswith("osteon: ")]
    assert reason in line
    assert "Traceback" not in err
