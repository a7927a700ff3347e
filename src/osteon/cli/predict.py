"""Sub-command: predict."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from osteon.atomic import whole
from osteon.cli import app, settled
from osteon.content import printable
from osteon.errors import UsageError
from osteon.sources import MANY, StudyBy, find_sources, mura_sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osteon.model import Model
    from osteon.prediction import FilmPrediction
    from osteon.results import Predictions

FEW = 5
"""Films that need no progress bar."""

ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="FILE|NAME@VERSION", help="A model file, or one by name; default: the package's."),
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go: files, "-" for the standard output, "" for nowhere."""

    json: str
    csv: str
    mura: str
    quiet: bool

    def check(self) -> None:
        """Refuse what could not be written, before hours of work.

        Raises:
            UsageError: two outputs for the standard output, or a folder that does not exist.
        """
        if self.json == self.csv == "-":
            raise UsageError("--json and --csv cannot both go to the standard output. Give one of them a file.")
        for file in (self.json, self.csv, self.mura):
            if file not in ("", "-") and not Path(file).absolute().parent.is_dir():
                raise UsageError(f"{file}: its folder does not exist. Make it first.")

    def spare(self, inputs: Iterable[str]) -> None:
        """Refuse to write over what is read.

        Raises:
            UsageError: an output is one of the inputs.
        """
        outputs = {os.path.realpath(file): file for file in (self.json, self.csv, self.mura) if file not in ("", "-")}
        if taken := next((outputs[where] for one in inputs if outputs and (where := os.path.realpath(one)) in outputs), None):
            raise UsageError(f"{taken}: this file is an input, and would be written over. Give the answers another name.")

    @property
    def piped(self) -> bool:
        """Whether the standard output belongs to another program."""
        return "-" in (self.json, self.csv)


@app.command()
def predict(
    films: Annotated[list[str] | None, typer.Argument(metavar="FILM|FOLDER|MANIFEST...", show_default=False)] = None,
    model: ModelOption = None,
    study_by: Annotated[StudyBy, typer.Option(help="What makes films one study; see above.")] = StudyBy.AUTO,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Write everything as JSON; - is the standard output.")] = "",
    csv: Annotated[str, typer.Option(metavar="FILE|-", help="Write a row a study and a row a film; - is the standard output.")] = "",
    overlay: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each film with its heat map (PNG).")] = None,
    mura_csv: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="IN OUT", help="MURA's competition: IN has a film's path a line, OUT gets '<study folder>/,<0|1>' a line."),
    ] = None,
    guard: Annotated[
        bool, typer.Option("--guard/--no-guard", help="Films that the model cannot judge get a reason instead of a probability.")
    ] = True,
    precision: Annotated[
        Literal["auto", "int8", "float32"], typer.Option(help="auto: INT8 where the model's card shows that it does not change results.")
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, no progress; only refused films are named.")] = False,
) -> None:
    """Predict films and studies: probability, answer (yes, uncertain, no), heat map.

    A film is PNG, JPEG, TIFF or DICOM. Films become studies by --study-by:

    auto: DICOM by StudyInstanceUID; else a folder named study... is one
    study, as in MURA; any other film is a study of its own.

    folder: each folder that holds films is one study.

    film: each film is a study of its own.

    A manifest is a CSV with the columns path (relative to it) and study.

    The exit status is 1 where a film could not be used; all others still
    have their answer. Films that the model cannot judge (blank, inverted,
    another body part, unlike its training films) are "out of scope" and
    get a reason instead of a probability: that is an answer.
    --mura-csv wants a number of each film, so there the guard is off.
    """
    if bool(films) == bool(mura_csv):
        raise UsageError("name films, folders or manifests; or give --mura-csv IN OUT.")
    outputs = Outputs(json, csv, mura_csv[1] if mura_csv else "", quiet)
    outputs.check()
    sources = mura_sources(Path(mura_csv[0])) if mura_csv else find_sources(films or [], study_by)
    outputs.spare([*(films or []), *(mura_csv or ())[:1], *(source.file for source in sources.films)])

    opened = _opened(model, precision, side_by_side=len(sources.films) >= MANY, shown=not (quiet or outputs.piped))
    from osteon.batch import answers, overlays_in
    from osteon.results import group

    overlays = overlays_in(overlay, sources.films) if overlay else None
    predictions = answers(sources.films, opened, overlays, guard=guard and not mura_csv)
    studies = group(_watched(predictions, len(sources.films), quiet), sources, opened.card)
    _report(studies, outputs)
    _tell(studies, outputs)
    if study_by is StudyBy.AUTO and not quiet:
        _tell_loose(studies)
    if overlays and overlays.failed:
        raise UsageError(f"{overlays.failed}. The numbers are complete; choose another folder for the overlays.")
    if any(s.refused for s in studies):
        raise typer.Exit(1)


def _opened(model: str | None, precision: Literal["auto", "int8", "float32"], *, side_by_side: bool, shown: bool) -> Model:
    """Open a model, and import what comes after it; `shown` with what a table on the terminal needs."""
    from concurrent.futures import ThreadPoolExecutor

    from osteon.opening import load_model

    with ThreadPoolExecutor(1) as beside:  # opening a model takes a second core as long as importing the rest takes the first
        opening = beside.submit(load_model, model, precision, side_by_side=side_by_side)
        import osteon.batch
        import osteon.cli.prediction_table  # noqa: F401

        if shown:
            import rich.table  # noqa: F401 - shown last, needed then
        opened = opening.result()
    settled()
    return opened


def _watched(predictions: Iterable[FilmPrediction], total: int, quiet: bool) -> Iterable[FilmPrediction]:
    """Pass predictions on; a bar shows how far it is, where a person looks and it takes a while."""
    if quiet or total <= FEW or not sys.stderr.isatty():
        yield from predictions
        return
    from osteon.cli.progress import counting_bar

    with counting_bar("films") as advance:
        for done, prediction in enumerate(predictions, 1):
            yield prediction
            advance(done, total)


def _report(studies: Predictions, outputs: Outputs) -> None:
    from osteon import results
    from osteon.cli import prediction_table as table

    if outputs.mura:
        _write(outputs.mura, results.as_mura_csv(studies))
    if outputs.csv:
        _write(outputs.csv, results.as_csv(studies))
    if outputs.json:
        _write(outputs.json, results.as_json(studies))
    if not (outputs.quiet or outputs.piped):
        in_a_file = outputs.mura or outputs.csv or outputs.json
        table.show(studies, most=table.MOST_ROWS if in_a_file else sys.maxsize)
        print(f"\n{table.summary(studies)}")


def _write(file: str, pieces: Iterable[str]) -> None:
    # A file's name that is no UTF-8 keeps its bytes as escapes; it must not cost the answers.
    if file == "-":
        sys.stdout.writelines(piece.encode(errors="backslashreplace").decode() for piece in pieces)
        return
    try:
        if Path(file).exists() and not Path(file).is_file():  # a pipe, /dev/null
            with Path(file).open("w", encoding="utf-8", errors="backslashreplace") as out:
                out.writelines(pieces)
            return
        with whole(Path(file)) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as out:
            out.writelines(pieces)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be written ({fault.strerror}). Choose another place.") from fault


def _tell_loose(studies: Predictions) -> None:
    loose = sum(s.is_its_film and not s.films[0].study_uid for s in studies)
    if loose > 1:
        typer.echo(f"osteon: each of {loose} films was treated as a study of its own; --study-by folder makes each folder one.", err=True)


def _tell(studies: Predictions, outputs: Outputs) -> None:
    """Tell on the standard error what no table has said."""
    for film in (f for s in studies for f in s.refused if outputs.quiet or outputs.piped):
        typer.echo(printable(f"osteon: {film.film}: {film.error}"), err=True)
    unanswered = sum(s.probability is None for s in studies)
    if outputs.mura and unanswered:
        typer.echo(f"osteon: {unanswered} studies gave no number and have 0, what most studies are.", err=True)
