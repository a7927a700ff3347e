"""Sub-command: cache."""

from __future__ import annotations

from typing import Annotated

import typer

from osteon.cli import app


@app.command()
def cache(
    delete: Annotated[bool, typer.Option("--clear", help="delete it; what another process is making stays")] = False,
) -> None:
    """Show what osteon keeps between starts, and clear it.

    It stands in the user's cache folder for osteon; OSTEON_CACHE names
    another one, and nothing is kept where that is empty.
    """
    from osteon.cache import bytes_of, cache_folder, clear, kept

    typer.echo(str(cache_folder() or "nothing is kept: OSTEON_CACHE is empty, or there is no home"))
    for kind, entries in kept().items():
        typer.echo(f"{kind:16} {len(entries):5,} {sum(map(bytes_of, entries)) / 1e6:10,.1f} MB")
    if delete:
        before = sum(len(entries) for entries in kept().values())
        stays = clear()
        for path in stays:
            typer.echo(f"{path}: in use, or with another's files in it; it stays", err=True)
        typer.echo(f"cleared: {before - len(stays):,} of {before:,}")
