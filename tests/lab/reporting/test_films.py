"""The films that are shown: those found, evenly by confidence; the failures, the most confident first, counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from made_run import made_run
from osteon.card import Decision
from osteon.lab.reporting import found
from osteon.lab.reporting.document import Gap, Picture, Section, Table, Text
from osteon.lab.reporting.failures import failure_section
from osteon.lab.reporting.found import found_section
from osteon.lab.reporting.material import Material
from osteon.lab.reporting.pictured import MOST
from osteon.lab.reporting.reliability import calibration_section


def material(folder: Path, threshold: float = 1.0) -> Material:
    made = made_run(folder, decision=Decision(threshold=threshold, doubt_from=threshold, doubt_to=threshold))
    return made.material(folder / "out")


def failures(folder: Path, threshold: float) -> Section:
    return failure_section(material(folder, threshold), folder / "out" / "figures")


def pictures(section: Section) -> list[Picture]:
    return [block for block in section.blocks if isinstance(block, Picture) and block.file.suffix == ".jpg"]


def test_missed_films_are_shown_the_surest_first(tmp_path: Path) -> None:
    section = failures(tmp_path, threshold=1.0)
    shown = pictures(section)
    assert len(shown) == 12
    assert all(picture.title.endswith("missed") for picture in shown)
    said = [float(picture.caption.split("Probability ")[1].split(":")[0]) for picture in shown]
    assert said == sorted(said)
    assert all("marked finding" in picture.caption for picture in shown)
    assert "Not one normal film raised a false alarm." in [block.words for block in section.blocks if isinstance(block, Gap)]
    table = pl.read_csv(tmp_path / "out" / "failures.csv")
    assert table.height == 12
    assert table["number"].to_list() == list(range(1, 13))


def test_false_alarms_are_shown(tmp_path: Path) -> None:
    section = failures(tmp_path, threshold=0.0)
    assert [p.title for p in pictures(section)] == [f"{n}: false alarm" for n in range(1, MOST + 1)]
    [confusion, by_type] = [block for block in section.blocks if isinstance(block, Table)]
    assert list(confusion.rows) == [("abnormal films", "12", "12", "0"), ("normal films", "24", "24", "0")]
    assert [row[0] for row in by_type.rows] == ["hand", "wrist"]


def test_what_was_found_is_shown_evenly_from_the_surest_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "MOST", 5)
    section = found_section(material(tmp_path, threshold=0.0), tmp_path / "out" / "figures")
    assert [picture.title for picture in pictures(section)] == ["1: found", "4: found", "7: found", "9: found", "12: found"]
    [words] = [block.words for block in section.blocks if isinstance(block, Text)]
    assert words.startswith("5 of the 12 abnormal films that were called abnormal, evenly from the surest")
    assert "of the 12 with a marked finding the hottest point of the heat map lies inside it; of those shown in" in words


def test_nothing_found_is_said(tmp_path: Path) -> None:
    section = found_section(material(tmp_path, threshold=1.0), tmp_path / "out" / "figures")
    assert [block.words for block in section.blocks if isinstance(block, Gap)] == ["Not one abnormal film was called abnormal."]


def test_a_picture_is_the_film_and_its_overlay_with_the_box_on_the_left(tmp_path: Path) -> None:
    section = failures(tmp_path, threshold=1.0)
    with Image.open(pictures(section)[0].file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    half = pixels.shape[1] // 2
    assert pixels.shape[0] == 64
    yellow = (pixels[:, :half, 0] - pixels[:, :half, 2] > 60).sum()
    assert yellow > 20


def test_another_answer_than_the_kept_one_is_told(tmp_path: Path) -> None:
    told = material(tmp_path)
    kept = told.measured.predictions
    assert kept is not None
    changed = replace(told.measured, predictions=replace(kept, films=kept.films.with_columns(pl.col("logit") + 1)))
    section = failure_section(replace(told, measured=changed), tmp_path / "out" / "figures")
    assert all("ATTENTION: the model gives it logit" in picture.caption for picture in pictures(section))


def test_films_that_are_gone(tmp_path: Path) -> None:
    told = material(tmp_path)
    (tmp_path / "films").rename(tmp_path / "elsewhere")
    section = failure_section(told, tmp_path / "out" / "figures")
    assert pictures(section) == []
    gone = [block for block in section.blocks if isinstance(block, Gap) and "not where the index says" in block.words]
    assert len(gone) == 12


def test_without_predictions_the_sections_say_so(tmp_path: Path) -> None:
    told = material(tmp_path)
    bare = replace(told, measured=replace(told.measured, predictions=None))
    figures = tmp_path / "out" / "figures"
    for section in (found_section(bare, figures), failure_section(bare, figures), calibration_section(bare, figures)):
        assert "no predictions.parquet" in " ".join(block.words for block in section.blocks if isinstance(block, Gap))
