"""Index -> a page that shows what a dataset is like."""

from __future__ import annotations

from pathlib import Path

import msgspec

from osteon.lab.exploration.folder import SAMPLE
from osteon.lab.exploration.folder import explore as explore_into
from osteon.lab.exploration.records import Exploration
from osteon.lab.face.given import Films, PathLike, index_file, path_of, same_command
from osteon.lab.progress import Watch, counting


def explore(
    index: Films, out: PathLike = "exploration", *, sample: int = SAMPLE, seed: int = 0, progress: Watch | None = None
) -> Exploration:
    """Show what a dataset is like, on a page: counts, films, possible shortcuts, and problems.

    Args:
        index: The index.
        out: Folder for the page, the figures (PNG) and their numbers (JSON).
        sample: Films to open for their grey levels, drawn at random; with 0 none is opened.
        seed: Another seed, other films.
        progress: Called for each film that is opened.

    Raises:
        BadManifest, EmptyDataset, UsageError: as `lab.exploration.folder.explore`.
    """
    file = index_file(index, path_of(out, "the page's folder"))
    command = same_command("explore", file, out=out, sample=sample, seed=seed or None)
    found = explore_into(file, Path(out), command, sample, seed, counting("open films", progress))
    return msgspec.structs.replace(found, folder=str(out))
