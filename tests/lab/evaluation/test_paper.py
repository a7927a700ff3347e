"""An evaluation's tables as a paper takes them."""

from __future__ import annotations

import csv
from pathlib import Path

from made_predictions import made_films, made_predictions
from osteon.lab.evaluation import tables
from osteon.lab.evaluation.evaluation import Plan, measure
from osteon.lab.evaluation.paper import latex, write_tables
from osteon.lab.evaluation.tables import Rows


def test_every_table_that_has_a_row_stands_as_csv_and_as_latex(tmp_path: Path) -> None:
    evaluation = measure(made_predictions(made_films()), Plan(resamples=200))
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mura.csv").write_text("of before")
    write_tables(evaluation, tmp_path)
    made = sorted(file.name for file in (tmp_path / "tables").iterdir())
    assert made == [f"{name}.{kind}" for name in ("metrics", "study-types", "subgroups") for kind in ("csv", "tex")]
    table = tables.all_metrics(evaluation)
    with (tmp_path / "tables/metrics.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [list(row) for row in (table.header, *table.rows)]


def test_what_latex_would_read_is_written_so_that_it_shows() -> None:
    rows = latex(Rows("a_b", ("", "n"), [("50 % & more", r"\evil{x} < $1"), ("~^#", "2")])).splitlines()
    assert rows[1] == r"\caption{a\_b}"
    assert rows[6:8] == [r"50 \% \& more & \textbackslash{}evil\{x\} $<$ \$1 \\", r"\textasciitilde{}\textasciicircum{}\# & 2 \\"]
