"""A model on corrupted films, with a model whose every answer is known: bright parts speak for abnormal."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from command_line import Typed
from made_index import made_index
from made_model import made_card, make_model
from osteon.lab.evaluation import robustness
from osteon.lab.evaluation.robustness import PLAIN, Request

NAMES = ("mirrored", "gamma 0.6", "JPEG at quality 30")


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    model = make_model(tmp_path / "m.onnx", made_card(64), "brightness")
    return Request(str(model), made_index(tmp_path, {"train": 6, "valid": 24}), tmp_path / "stress", names=NAMES, resamples=200)


def silent(_: int, __: int) -> None:
    """Tell nobody."""


def test_each_corruption_has_its_figures_beside_the_plain_films(request_: Request) -> None:
    seen: list[tuple[int, int]] = []
    result = robustness.stress(request_, lambda done, total: seen.append((done, total)))
    assert [row.name for row in result.rows] == [PLAIN, *NAMES]
    plain, mirrored, brighter, _ = result.rows
    assert plain.films == 24 and plain.changed == 0 and plain.out_of_scope is None
    assert plain.metrics["auroc"].b == 1 and plain.metrics["auroc"].value == 0
    assert mirrored.metrics["auroc"].b == 1
    # Brighter films are called abnormal more often, right or wrong.
    gained = {name: brighter.metrics[name].value or 0 for name in ("sensitivity", "specificity")}
    assert gained["sensitivity"] >= 0 >= gained["specificity"]
    assert brighter.changed == round(gained["sensitivity"] * 8 - gained["specificity"] * 16) > 0
    # No brighter film gets "no" more often, and an answer that changed is one of the three, also where the decision stayed.
    assert all(
        share is not None and 0 <= share <= before for share, before in zip(brighter.no, plain.no, strict=True) if before is not None
    )
    assert plain.answers == 0 < brighter.answers
    assert seen[-1] == (96, 96) and seen == sorted(seen)


def test_a_run_that_was_stopped_goes_on(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = robustness.stress(request_, silent)
    stamps = {file: file.stat().st_mtime_ns for file in request_.out.rglob("*.parquet")}
    (request_.out / "valid" / "gamma-0.6.parquet").unlink()
    made: list[str] = []
    scored = robustness._scored
    monkeypatch.setattr(robustness, "_scored", lambda *given: made.append(given[2]) or scored(*given))
    assert robustness.stress(request_, silent) == whole
    assert made == ["gamma 0.6"]
    assert sum(file.stat().st_mtime_ns != stamp for file, stamp in stamps.items()) == 1


def test_what_another_model_left_is_not_taken(request_: Request, tmp_path: Path) -> None:
    before = robustness.stress(request_, silent)
    make_model(tmp_path / "m.onnx", made_card(64), "random")
    after = robustness.stress(request_, silent)
    assert before.rows[0].metrics != after.rows[0].metrics


def test_as_a_person_types_it(osteon: Typed) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64), "brightness")
    made_index(osteon.folder, {"train": 6, "valid": 24})
    (osteon.folder / "films/valid").joinpath("valid-patient0/image0.png").write_bytes(b"no film")
    words = ("stress", "--model", "m.onnx", "--index", "index.parquet", "--only", "half the contrast")
    status, out, _ = osteon(*words)
    assert status == 1
    assert "refused, takes no part: " in out and "image0.png" in out
    assert "made@1.0.0 on 'valid', 23 films" in out and "half the contrast" in out
    told = json.loads(Path("stress/stress.json").read_text())
    assert told["command"] == "osteon stress --model m.onnx --index index.parquet --only 'half the contrast'"
    table = Path("stress/stress.md").read_text().splitlines()
    assert [film["path"] for film in told["refused"]] == ["valid/valid-patient0/image0.png"] and told["unlabelled"] == 0
    assert table[2].startswith("| as they are | 1.000 |") and table[3].startswith("| half the contrast |") and len(table) == 4
    assert pl.read_parquet("stress/valid/as-they-are.parquet")["error"].str.len_chars().gt(0).sum() == 1


@pytest.mark.parametrize(("words", "status", "told"), [
    (("--only", "rain"), 64, "there is no corruption 'rain'. Take some of: mirrored,"),
    (("--split", "test"), 65, "there is no film in split 'test'"),
])  # fmt: skip
def test_bad_input_is_one_line(osteon: Typed, words: tuple[str, ...], status: int, told: str) -> None:
    make_model(osteon.folder / "m.onnx", made_card(64), "brightness")
    made_index(osteon.folder)
    ended, _, err = osteon("stress", "--model", "m.onnx", "--index", "index.parquet", *words)
    assert ended == status and err.splitlines()[-1].startswith(f"osteon: {told}")
