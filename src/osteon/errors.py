"""Every refusal a person can meet, in one tree.

Each leaf says what is wrong, with which file or tag, and what to do. An edge maps it once: the command line to one line and an
exit status (`sysexits.h`, kept in `exit_status`), a service to its own status codes. Messages name files and tags, never a
patient: no value of an identifying DICOM attribute may stand in one.

    OsteonError
    |-- UsageError            the command was given something that does not fit
    |-- MissingExtra          a part of osteon that is not installed
    |-- FilmError             one film cannot be used; a batch goes on without it
    |   |-- UnreadableFilm        no decoder makes pixels of it
    |   |-- UnsupportedFilm       it decodes, but is no radiograph osteon reads (a CT, a colour photograph, 3 pixels)
    |   |   `-- BlankFilm             all its pixels have one grey
    |   `-- OversizedFilm         its header promises more pixels than is sane
    |-- DatasetError          a folder of studies, an index or a split
    |   |-- EmptyDataset          no film found
    |   |-- BadManifest           a table that does not fit (missing column, unknown id)
    |   |-- CountMismatch         a tree that claims to be MURA has other counts than the published ones
    |   `-- LeakySplit            a patient or a duplicate stands in two splits
    |-- ModelFileError        a model file that breaks the contract, or cannot be opened
    |-- MeasurementError      an evaluation that cannot be made (no labels, one class, too few studies)
    `-- TrainingError         a training that cannot start, go on or be resumed
        |-- MissingWeights        first weights that are not there; says which file and where to put it
        |-- DivergedTraining      the loss is no longer a number
        `-- CheckpointError       a checkpoint that cannot be written or read
"""

from __future__ import annotations

# fmt: off
__all__ = [
    "BadManifest", "BlankFilm", "CheckpointError", "CountMismatch", "DatasetError", "DivergedTraining", "EmptyDataset", "FilmError",
    "LeakySplit", "MeasurementError", "MissingExtra", "MissingWeights", "ModelFileError", "OsteonError", "OversizedFilm",
    "TrainingError", "UnreadableFilm", "UnsupportedFilm", "UsageError",
]
# fmt: on


class OsteonError(Exception):
    """Base of all refusals. `exit_status` follows `sysexits.h`."""

    exit_status = 70


class UsageError(OsteonError):
    """The command or the call was given something that does not fit."""

    exit_status = 64


class MissingExtra(OsteonError):
    """A part of osteon that is not installed."""

    exit_status = 69


class FilmError(OsteonError):
    """One film cannot be used; a batch goes on without it."""

    exit_status = 65


class UnreadableFilm(FilmError):
    """No decoder makes pixels of the file."""


class UnsupportedFilm(FilmError):
    """The file decodes, but is no radiograph that osteon reads."""


class BlankFilm(UnsupportedFilm):
    """All pixels have one grey: nothing was exposed, or nothing exported."""


class OversizedFilm(FilmError):
    """The header promises more pixels than is sane."""


class DatasetError(OsteonError):
    """A folder of studies, an index or a split cannot be used."""

    exit_status = 65


class EmptyDataset(DatasetError):
    """No film was found."""

    exit_status = 66


class BadManifest(DatasetError):
    """A table does not fit: a missing column, an unknown id."""


class CountMismatch(DatasetError):
    """A tree that claims to be MURA has other counts than the published ones."""


class LeakySplit(DatasetError):
    """A patient or a duplicate stands in two splits."""


class ModelFileError(OsteonError):
    """A model file breaks the contract or cannot be opened."""

    exit_status = 65


class MeasurementError(OsteonError):
    """An evaluation cannot be made: no labels, one class, too few studies."""

    exit_status = 65


class TrainingError(OsteonError):
    """A training cannot start, go on or be resumed."""

    exit_status = 70


class MissingWeights(TrainingError):
    """First weights are not there."""

    exit_status = 66


class DivergedTraining(TrainingError):
    """The loss is no longer a number."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be written or read."""

    exit_status = 74
