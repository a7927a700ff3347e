"""Path, bytes or opened file -> bytes, no more of them than is sane."""

from __future__ import annotations

import os
from pathlib import Path

from osteon.bounds import MOST_BYTES
from osteon.errors import OversizedFilm, UnreadableFilm, UsageError

_TOO_LARGE = f"{{}}: larger than {MOST_BYTES:,} bytes. Export one film by itself."


def name_of(source: object) -> str:
    """Return a path as text, or the name of an opened file; "" for anything else."""
    named = getattr(source, "name", "") if hasattr(source, "read") else source
    return os.fspath(named) if isinstance(named, str | os.PathLike) else ""


def printable(text: str) -> str:
    r"""Return a text that a terminal and UTF-8 can show: control, direction and stray bytes of a file's name as escapes.

    >>> print(printable("a\x1b[31m\n.png"))
    a\x1b[31m\n.png
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def bytes_of(source: object) -> bytes:
    """Return bytes, or what stands in an opened file.

    Raises:
        UsageError: it is neither.
    """
    try:
        content = source.read() if hasattr(source, "read") else source
    except (OSError, ValueError) as fault:
        raise UsageError(f"the file cannot be read ({fault}). Open it with 'rb', and leave it open.") from fault
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    if not isinstance(content, bytes):
        kind = "a file opened as text" if content is not source else type(source).__name__
        raise UsageError(f"a film is read from a path, bytes, a file opened with 'rb', or an array, not from {kind}.")
    return content


def content_of(source: object, name: str) -> bytes:
    """Return what stands in a file, or in bytes; `name` is what a refusal calls it.

    Raises:
        UsageError: the source is neither path, bytes nor opened file.
        UnreadableFilm: it is not there, cannot be opened, or is empty.
        OversizedFilm: it is larger than `MOST_BYTES`.
    """
    content = _of_file(Path(source), name) if isinstance(source, str | os.PathLike) else bytes_of(source)
    if len(content) > MOST_BYTES:
        raise OversizedFilm(_TOO_LARGE.format(name))
    if not content:
        raise UnreadableFilm(f"{name}: the file is empty. Copy it again.")
    return content


def _of_file(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableFilm(f"{name}: a folder, no film. Name the films in it.")
        if path.exists() and not path.is_file():
            raise UnreadableFilm(f"{name}: no regular file. Copy the film to one.")
        if path.stat().st_size > MOST_BYTES:  # before it is read
            raise OversizedFilm(_TOO_LARGE.format(name))
        return path.read_bytes()
    except FileNotFoundError as fault:
        raise UnreadableFilm(f"{name}: there is no such file.") from fault
    except (OSError, ValueError) as fault:
        raise UnreadableFilm(f"{name}: cannot be opened ({getattr(fault, 'strerror', None) or fault}).") from fault
