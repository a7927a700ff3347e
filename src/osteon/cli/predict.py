"""Sub-command: predict."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from osteon.cli import app, settled
from osteon.cli.answer_folder import answer_into, watched, write_whole
from osteon.cli.dicom_results import check_results, overlay_folder, write_dicom
from osteon.content import printable
from osteon.errors import UsageError
from osteon.sources import MANY, MOST_VIEWS, StudyBy, find_sources, mura_sources

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from osteon.batch import Drawn, Pictures
    from osteon.model import Model
    from osteon.prediction import FilmPrediction
    from osteon.results import Studies
    from osteon.sources import Sources

ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="FILE|NAME@VERSION", help="A model file, or one by name; default: the package's."),
]
MuraOption = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="IN OUT", help="MURA's competition: IN has a film's path a line, OUT gets '<study folder>/,<0|1>' a line."),
]
GuardOption = Annotated[
    bool, typer.Option("--guard/--no-guard", help="Films that the model cannot judge get a reason instead of a probability.")
]
PrecisionOption = Annotated[
    Literal["auto", "int8", "float32"], typer.Option(help="auto: INT8 where the model's card shows that it does not change results.")
]
SiteOption = Annotated[
    str | None, typer.Option(metavar="FILE|NAME", help="A hospital's own edges of the answers, from osteon calibrate --site.")
]
OutOption = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write answers as they are made, then tables; goes on where it stopped.")
]
DicomOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write DICOM results: a report a study, a picture a film. Needs osteon[serve].")
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go: files, "-" for the standard output, "" for nowhere; and the folder of `-o`."""

    json: str
    csv: str
    mura: str
    page: str
    folder: str
    quiet: bool

    def check(self, films: list[str] | None) -> None:
        """Refuse what could not be written or read, before hours of work.

        Raises:
            UsageError: no films, or two kinds of them; two outputs for the standard output, or a folder that does not exist.
        """
        if bool(films) == bool(self.mura):
            raise UsageError("name films, folders or manifests; or give --mura-csv IN OUT.")
        if self._all.count("-") > 1:
            raise UsageError("only one of --json, --csv, --page and --mura-csv can go to the standard output. Give the others a file.")
        places = {file: os.path.realpath(file) for file in self._all if file != "-"}
        for file, place in places.items():
            if self.folder and Path(place).is_relative_to(os.path.realpath(self.folder)):
                raise UsageError(f"{file}: -o writes its own tables into that folder. Name a file outside of it, or leave it out.")
            if not Path(place).parent.is_dir():
                raise UsageError(f"{file}: its folder does not exist. Make it first.")
            if [*map(os.path.realpath, self._all)].count(place) > 1 and (Path(place).is_file() or not Path(place).exists()):
                raise UsageError(f"{file}: two kinds of answers would be written into one file. Give each a name of its own.")

    def spare(self, inputs: Iterable[str]) -> None:
        """Refuse to write over what is read.

        Raises:
            UsageError: an output is one of the inputs.
        """
        outputs = {os.path.realpath(file): file for file in self._all if file != "-"}
        if taken := next((outputs[where] for one in inputs if outputs and (where := os.path.realpath(one)) in outputs), None):
            raise UsageError(f"{taken}: this file is an input, and would be written over. Give the answers another name.")

    @property
    def piped(self) -> bool:
        """Whether the standard output belongs to another program."""
        return "-" in self._all

    @property
    def _all(self) -> list[str]:
        return [file for file in (self.json, self.csv, self.mura, self.page) if file]


@app.command()
def predict(
    films: Annotated[list[str] | None, typer.Argument(metavar="FILM|FOLDER|MANIFEST...", show_default=False)] = None,
    model: ModelOption = None,
    site_file: SiteOption = None,
    study_by: Annotated[StudyBy, typer.Option(help="What makes films one study; see above.")] = StudyBy.AUTO,
    json: Annotated[str, typer.Option(metavar="FILE|-", help="Write everything as JSON; - is the standard output.")] = "",
    csv: Annotated[str, typer.Option(metavar="FILE|-", help="Write a row a study and a row a film; - is the standard output.")] = "",
    overlay: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each film with its heat map (PNG).")] = None,
    dicom_out: DicomOption = None,
    page: Annotated[str, typer.Option(metavar="FILE", help="Write a page to look at: films beside their heat maps.")] = "",
    mura_csv: MuraOption = None,
    guard: GuardOption = True,
    precision: PrecisionOption = "auto",
    out: OutOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, no progress; only refused films are named.")] = False,
) -> None:
    """Predict films and studies: probability, answer (yes, uncertain, no), heat map.

    A film is PNG, JPEG, TIFF or DICOM. Films become studies by --study-by:

    auto: DICOM by StudyInstanceUID and patient; else a folder named as in
    MURA (study1, study1_positive) is one study, unless it holds more than
    a dozen films; any other film is a study of its own.

    folder, film: each folder that holds films, or each film, is one study.

    A manifest is a CSV with the columns path (relative to it) and study.

    With -o the same command goes on where it was stopped.

    The exit status is 1 where a film could not be used; all others still
    have their answer. Films that the model cannot judge (blank, inverted,
    another body part, unlike its training films) are "out of scope" and
    get a reason instead of a probability: that is an answer.
    --mura-csv wants a number of each film, so there the guard is off.
    """
    outputs = Outputs(json, csv, mura_csv[1] if mura_csv else "", page, str(out or ""), quiet)
    outputs.check(films)
    sources = mura_sources(Path(mura_csv[0])) if mura_csv else find_sources(films or [], study_by)
    outputs.spare([*(films or []), *(mura_csv or ())[:1], model or "", *(source.file for source in sources.films)])

    check_results(dicom_out)
    opened = _opened((model, site_file), precision, side_by_side=len(sources.films) >= MANY, shown=not (quiet or outputs.piped))
    from osteon.batch import Drawn, overlays_in

    asked = {"films": films or list(mura_csv or ()), "guard": guard and not mura_csv, "page": page, "model": model}
    with _pictures(page, out, len(sources.films)) as pictures, overlay_folder(overlay, dicom_out, out) as drawn_in:
        overlays = overlays_in(drawn_in, sources.films) if drawn_in else None
        asked["overlay"] = str(overlay or "") or ("DICOM" if dicom_out else "")
        studies = _studies(sources, opened, Drawn(overlays, pictures), asked, out, quiet)
        _report(studies, outputs, pictures)
        if dicom_out:
            write_dicom(studies, sources, opened.sha256, dicom_out)
    _tell(studies, sources, outputs, loose=study_by is StudyBy.AUTO)
    _end(studies, Drawn(overlays, pictures))


@contextlib.contextmanager
def _pictures(page: str, out: Path | None, films: int) -> Iterator[Pictures | None]:
    """Give the pictures of a page a place until it is written: in the answers' folder, else for as long as this command runs."""
    if not page:
        yield None
        return
    from osteon.batch import pictures_in

    with contextlib.nullcontext(str(out / "pictures")) if out else tempfile.TemporaryDirectory(prefix="osteon-") as folder:
        yield pictures_in(Path(folder), films)


def _end(studies: Studies, drawn: Drawn) -> None:
    if fault := next((place.failed for place in drawn if place and place.failed), ""):
        raise UsageError(f"{fault}. The numbers are complete; make room, or choose another place for the pictures.")
    if any(s.refused for s in studies):
        raise typer.Exit(1)


def _opened(
    named: tuple[str | None, str | None], precision: Literal["auto", "int8", "float32"], *, side_by_side: bool, shown: bool
) -> Model:
    """Open a model, perhaps with a site file, and import what comes after it; `shown` with what a table on the terminal needs."""
    from concurrent.futures import ThreadPoolExecutor

    from osteon.opening import load_model

    with ThreadPoolExecutor(1) as beside:  # opening a model takes a second core as long as importing the rest takes the first
        opening = beside.submit(load_model, named[0], precision, side_by_side=side_by_side, site=named[1])
        import osteon.batch
        import osteon.cli.prediction_table  # noqa: F401

        if shown:
            import rich.table  # noqa: F401 - shown last, needed then
        opened = opening.result()
    settled()
    return opened


def _studies(sources: Sources, opened: Model, drawn: Drawn, asked: dict[str, Any], out: Path | None, quiet: bool) -> Studies:
    """Answer the films, in a folder where one is named."""
    from osteon.batch import answers
    from osteon.results import group
    from osteon.stored import MADE_BY

    def ask(skip: Container[int] = (), kept: dict[str, str] | None = None) -> Iterator[FilmPrediction]:
        if drawn.overlays and kept:
            drawn.overlays.keep(kept)
        return answers(sources.films, opened, drawn, guard=asked["guard"], skip=skip)

    if out is None:
        studies: Studies = group(watched(ask(), len(sources.films), quiet), sources, opened.card)
    else:
        by = {"model": opened.card.reference} | {told: opened.made_by[name] for name, told in MADE_BY.items()}
        studies = answer_into(out, asked | by, sources, opened.card, ask, quiet)
    studies.made_by = opened.made_by
    return studies


def _report(studies: Studies, outputs: Outputs, pictures: Pictures | None) -> None:
    from osteon import results
    from osteon.cli import prediction_table as table

    if outputs.page:
        from osteon.page import as_page

        _write(outputs.page, as_page(studies, Path(outputs.page).absolute().parent, datetime.now(UTC), pictures))
    if outputs.mura:
        _write(outputs.mura, results.as_mura_csv(studies))
    if outputs.csv:
        _write(outputs.csv, results.as_csv(studies))
    if outputs.json:
        _write(outputs.json, results.as_json(studies))
    if not (outputs.quiet or outputs.piped):
        in_a_file = outputs.mura or outputs.csv or outputs.json or outputs.page or outputs.folder
        table.show(studies, most=table.MOST_ROWS if in_a_file else sys.maxsize)
        print(f"\n{table.summary(studies)}")


def _write(file: str, pieces: Iterable[str]) -> None:
    if file == "-":
        sys.stdout.flush()
        sys.stdout.buffer.writelines(piece.encode(errors="backslashreplace") for piece in pieces)  # UTF-8 whatever the terminal has
        return
    try:
        if Path(file).exists() and not Path(file).is_file():  # a pipe, /dev/null
            with Path(file).open("w", encoding="utf-8", errors="backslashreplace") as out:
                out.writelines(pieces)
            return
        write_whole(Path(file), pieces)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be written ({fault.strerror}). Choose another place.") from fault


def _tell(studies: Studies, sources: Sources, outputs: Outputs, *, loose: bool) -> None:
    """Tell on the standard error what no table has said; with `loose` how many films stand alone since nothing says otherwise."""
    from osteon.cli.unlike import unlike

    for film in (f for s in studies for f in s.refused if outputs.quiet or outputs.piped):
        typer.echo(printable(f"osteon: {film.film}: {film.error}"), err=True)
    unanswered = sum(s.probability is None for s in studies) if outputs.mura else 0
    if unanswered:
        typer.echo(f"osteon: {unanswered} studies gave no number and have 0, what most studies are.", err=True)
    if not outputs.quiet and (strange := unlike(studies)):
        typer.echo(f"osteon: {strange}", err=True)
    if loose and not outputs.quiet:
        _tell_loose(studies)
    if sources.linked and not outputs.quiet:
        typer.echo(f"osteon: {sources.linked} films stand behind links that lead out of the folder.", err=True)


def _tell_loose(studies: Studies) -> None:
    """Advise to take folders as studies, but not where one holds so many films that they may be many patients'."""
    loose = [s.study for s in studies if s.is_its_film and not s.films[0].study_uid]
    in_folder = Counter(name.rpartition("/")[0] for name in loose)
    advice = "" if max(in_folder.values(), default=0) > MOST_VIEWS else "; --study-by folder makes each folder one"
    if len(loose) > 1:
        typer.echo(f"osteon: each of {len(loose)} films was treated as a study of its own{advice}.", err=True)
