"""Another model on the same films: its answers, its metrics and its heat maps beside this one's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from made_run import Made, made_run
from osteon.lab.evaluation.folder import PREDICTIONS
from osteon.lab.evaluation.scoring import score_index, write_predictions
from osteon.lab.reporting.beside import beside_sections
from osteon.lab.reporting.document import Gap, Picture, Section, Table, Text
from osteon.lab.reporting.front import front_pictures
from osteon.lab.reporting.material import Material, warnings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Material]:
    folder = tmp_path_factory.mktemp("made")
    run = made_run(folder)
    return run, run.material(folder / "out")


def beside(made: tuple[Made, Material], model: str | None, folder: Path) -> Section:
    run, material = made
    write_predictions(score_index(model, run.index, ["valid"], "osteon evaluate"), folder / PREDICTIONS)
    (folder / "figures").mkdir()
    asked = replace(material, request=replace(material.request, beside=folder))
    [section] = beside_sections(asked, folder / "figures")
    return section


def test_another_model_s_answers_stand_beside(made: tuple[Made, Material], tmp_path: Path) -> None:
    section = beside(made, None, tmp_path)
    assert section.title.startswith("Beside fracture@")
    [words] = [block.words for block in section.blocks if isinstance(block, Text)]
    assert "learned from FracAtlas (2,599 films)" in words and "began with it" not in words
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert table.header[1:] == ("made@1.0.0", section.title.removeprefix("Beside "), "difference")
    assert table.rows[0][:2] == ("AUROC, films", "1.000")
    [picture] = [block for block in section.blocks if isinstance(block, Picture)]
    with Image.open(picture.file) as image:
        assert image.width > 1000
    assert list(front_pictures([section])) == [picture]


def test_a_model_that_is_not_at_hand_shows_no_heat(made: tuple[Made, Material], tmp_path: Path) -> None:
    section = beside(made, str(made[0].model), tmp_path)
    assert any(isinstance(block, Gap) and "not at hand" in block.words for block in section.blocks)
    assert all(row[1] == row[2] for block in section.blocks if isinstance(block, Table) for row in block.rows)


def test_without_another_model_there_is_no_section(made: tuple[Made, Material], tmp_path: Path) -> None:
    assert beside_sections(made[1], tmp_path) == []


def test_what_a_reader_must_know_comes_first(made: tuple[Made, Material]) -> None:
    asked = replace(made[1], request=replace(made[1].request, about="All films are synthetic."))
    assert next(warnings(asked))[0] == "All films are synthetic."
