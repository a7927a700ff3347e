"""What `osteon predict --dicom-out` adds: a place for the pictures, and what was written."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from osteon.content import printable
from osteon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osteon.results import Studies
    from osteon.sources import Sources


def check_results(dicom_out: Path | None) -> None:
    """Refuse what could not be written, before the films are read.

    Raises:
        UsageError: a file stands where the folder should.
        ModuleNotFoundError: the extra is not installed.
    """
    if dicom_out is None:
        return
    if dicom_out.exists() and not dicom_out.is_dir():
        raise UsageError(f"{dicom_out}: this is a file, and DICOM results go into a folder. Name another one with --dicom-out.")
    import osteon.clinic.results  # noqa: F401


@contextlib.contextmanager
def overlay_folder(overlay: Path | None, dicom_out: Path | None, out: Path | None) -> Iterator[Path | None]:
    """Give overlays that only DICOM results ask for a place: in the answers' folder, else for as long as this command runs."""
    if overlay or not dicom_out:
        yield overlay
        return
    with contextlib.nullcontext(str(out / "overlays")) if out else tempfile.TemporaryDirectory(prefix="osteon-") as folder:
        yield Path(folder)


def write_dicom(studies: Studies, sources: Sources, model: str, folder: Path) -> None:
    """Write the DICOM results of studies, and tell what was repaired and what has none; `model` is the SHA-256 of its file."""
    from osteon.clinic.report import Origin
    from osteon.clinic.results import write_results

    written = write_results(
        studies, {source.name: source.file for source in sources.films}, Origin(studies.card, model, studies.card.site), folder
    )
    for remark in written.remarks:
        typer.echo(printable(f"osteon: {remark}"), err=True)
    kept = f", {written.kept} were there" if written.kept else ""
    typer.echo(f"osteon: {folder}: {written.reports} reports and {written.captures} pictures written{kept}.", err=True)
