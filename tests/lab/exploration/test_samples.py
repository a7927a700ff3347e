"""Which films are opened, and what their pixels say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from made_exploration import mixture, table
from made_index import made_films
from osteon.lab.data.layouts import Problem
from osteon.lab.exploration import samples


def test_as_many_of_each_label_whatever_the_order_of_the_rows() -> None:
    films = mixture(600).with_columns(status=pl.Series(["ok", "truncated", "unreadable"] * 200))
    chosen = samples.choose(films, 60, seed=1)
    assert chosen["label"].value_counts().sort("label")["count"].to_list() == [30, 30]
    assert set(chosen["status"]) == {"ok"}
    assert samples.choose(films.reverse(), 60, seed=1)["path"].equals(chosen["path"])
    assert not samples.choose(films, 60, seed=2)["path"].equals(chosen["path"])
    assert samples.choose(films, 0, seed=1).is_empty()


def test_a_grid_takes_each_study_type_in_turn() -> None:
    films = table([{"label": 1, "study_type": kind} for kind, count in (("HAND", 50), ("HIP", 2), ("WRIST", 30)) for _ in range(count)])
    chosen = samples.choose_grid(films, 1, 10, seed=0)
    assert dict(chosen["study_type"].value_counts().iter_rows()) == {"HAND": 4, "HIP": 2, "WRIST": 4}
    assert samples.choose_grid(films, 0, 10, seed=0).is_empty()


def test_rows_of_a_finding_by_path_and_by_study() -> None:
    films = table([{"path": "a", "study": "s"}, {"path": "b", "study": "s"}, {"path": "c", "study": "t"}])
    assert samples.rows_of(films, Problem("near-duplicate", ("c", "a"), ""))["path"].to_list() == ["c", "a"]
    assert samples.rows_of(films, Problem("label-conflict", ("s",), ""))["path"].to_list() == ["a", "b"]
    assert samples.rows_of(films, Problem("missing", ("elsewhere",), "")).is_empty()


def test_a_look_at_a_film(tmp_path: Path) -> None:
    pixels = np.zeros((400, 1000), np.uint8)
    pixels[:, 500:] = 255
    pixels[:, :100] = 51
    Image.fromarray(pixels).save(tmp_path / "film.png")
    seen = samples.look(str(tmp_path / "film.png"))
    assert seen.tile.pixels is not None
    assert (seen.tile.reason, seen.tile.pixels.dtype, seen.tile.pixels.shape, seen.tile.scale) == ("", np.uint8, (102, 256), 0.256)
    assert [seen.p1, seen.p50, seen.p99, seen.mean, seen.black] == pytest.approx([0, 0.6, 1, 0.52, 0.4], abs=0.41)
    assert seen.mean == pytest.approx(0.52, abs=0.01)
    assert seen.black == pytest.approx(0.4, abs=0.01)


def test_missing_and_broken_films_are_counted(tmp_path: Path) -> None:
    films = made_films(tmp_path, {"train": 4})
    Path(tmp_path, films["path"][0]).unlink()
    Path(tmp_path, films["path"][1]).write_bytes(b"no film")
    told: list[tuple[int, int]] = []
    looks = samples.look_at(pl.concat([films, films]), lambda *done: told.append(done))
    assert told == [(k, 4) for k in range(1, 5)]
    opened = samples.opened(list(looks.values()))
    assert (opened.asked, opened.opened, opened.missing, opened.refused) == (4, 2, 1, 1)
    greys = samples.with_greys(films, looks)
    assert greys["path"].to_list() == films["path"][2:].to_list()
    assert greys["contrast"].to_list() == pytest.approx((greys["p99"] - greys["p1"]).to_list())
    rows = samples.ranges(greys)
    assert rows[0].study_type == "all"
    assert sum(r.films for r in rows if r.study_type == "all") == 2
