"""A folder of DICOM files and a table with the label of each study: columns StudyInstanceUID and label, and no path.

The UIDs tell which films a row is about, and leave no trace in the index: a study is called by its films, a patient by a hash.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from osteon.content import content_of
from osteon.dicom import header
from osteon.dicom.tags import text
from osteon.errors import BadManifest, FilmError
from osteon.lab.data.layouts.manifest import Named, rows_of
from osteon.lab.data.layouts.tree import Dataset, Problem, walk
from osteon.manifest import header_of, read_manifest

UID = "StudyInstanceUID"


def names_studies(table: Path, named: Named) -> bool:
    """Return whether a table names studies by their UIDs, and no film by its path."""
    if named.path != Named(table).path:
        return False
    header = [name.lower() for name in header_of(table)]
    return UID.lower() in header and "path" not in header


def read_studies(table: Path, named: Named) -> Dataset:
    """Return the rows of the films below the table's folder of which the table names the study.

    Raises:
        BadManifest: the table does not fit, names a study twice, or names none of the films.
    """
    manifest = read_manifest(table, {UID: "uid", named.label: "label"}, needed="uid")
    rows = pl.DataFrame(list(manifest.rows), schema=dict.fromkeys(manifest.columns, pl.String))
    if (empty := (rows["uid"] == "").arg_true()).len():
        raise BadManifest(f"{table}, line {manifest.lines[empty[0]]}: it names no study. Fill in its StudyInstanceUID, or delete the row.")
    if (twice := rows["uid"].is_duplicated().arg_true()).len():
        raise BadManifest(f"{table}, line {manifest.lines[twice[1]]}: this study has a row already. Keep one.")
    files = walk(table.parent)
    films = pl.DataFrame(
        {"path": files.films, "uid": [_uid(table.parent / path) for path in files.films]}, schema_overrides={"uid": pl.String}
    )
    found = films.join(rows.with_columns(line=pl.Series(manifest.lines)), on="uid", how="inner", maintain_order="left")
    if found.is_empty():
        raise BadManifest(
            f"{table}: none of the {len(files.films)} films below its folder is of a study that it names. Put it beside the films."
        )
    lines = tuple(found["line"].to_list())
    names = found.select("path", "uid").group_by("uid").agg(study=pl.col("path").min())
    found = found.drop("study", strict=False).join(names, on="uid", how="left", maintain_order="left")
    made = rows_of(found.drop("uid", "line"), table, lines, replace(named, label="label"))
    absent = rows.join(films, on="uid", how="anti").height
    other = films.join(rows, on="uid", how="anti")["path"].to_list()
    problems = [Problem("missing", (table.name,), f"{absent} of its {rows.height} studies have no film below its folder")] if absent else []
    problems += [Problem("unlisted", tuple(other), "films of studies that the table does not name are left out")] if other else []
    return Dataset("table of studies", table.parent, made, files.hidden, sorted(set(files.others) - {table.name}), problems=problems)


def _uid(file: Path) -> str:
    try:
        return text(header(content_of(str(file), file.name), file.name), UID)
    except FilmError:
        return ""
