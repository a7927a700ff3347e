"""How fast contestants predict, in turn: a film through the network, a process from its start, a folder from its first film to its last."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from contestants import QUIET, Contestant
from films import link_many, make_films
from rows import Row, row
from timing import Finished, finished, spread


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: rounds of the network, films a round, rounds of start-up and folder, films of a folder, epochs of the loader, steps of a
    training, runs of the index."""

    rounds: int = 12
    films: int = 12
    starts: int = 5
    folders: int = 3
    in_folder: int = 128
    epochs: int = 5
    steps: int = 9
    indexes: int = 3


GLANCE = Pace(rounds=2, films=2, starts=1, folders=1, in_folder=8, epochs=1, steps=1, indexes=1)


def network(entrants: list[Contestant], pace: Pace) -> list[Row]:
    """One prepared film, the network alone."""
    values = [spread(seconds).map(lambda s: 1e3 * s) for seconds in in_turn(entrants, 3, pace.rounds, pace.films)]
    return [row(("network", e.network, e.name), "ms", v) for e, v in zip(entrants, values, strict=True)]


def in_turn(entrants: list[Contestant], warm_up: int, rounds: int, times: int) -> list[list[float]]:
    """Return the seconds of each one's answers: `times` of them a round, after a warm-up."""
    servers = [entrant.serving() for entrant in entrants]
    for server in servers:
        server.answer(warm_up)
    found: list[list[float]] = [[] for _ in entrants]
    for _ in range(rounds):
        for server, seconds in zip(servers, found, strict=True):
            seconds.extend(server.answer(times))
    for server in servers:
        server.stop()
    return found


def start(folder: Path, entrants: list[Contestant], pace: Pace) -> list[Row]:
    """From process start to the answer for one film; ours with its compiled model kept, and with an empty cache."""
    make_films(folder / "one", 1)
    emptied = folder / "emptied"
    turns: list[tuple[Contestant, str, dict[str, str]]] = [(e, e.name, {}) for e in entrants]
    turns += [(e, f"{e.name}, empty cache", {"OSTEON_CACHE": str(emptied)}) for e in entrants if e.is_ours]
    runs: list[list[Finished]] = [[] for _ in turns]
    for k in range(pace.starts + 1):
        for (entrant, _, environment), done in zip(turns, runs, strict=True):
            shutil.rmtree(emptied, ignore_errors=True)
            run = finished(entrant.over(folder / "one"), QUIET | environment)
            if k:  # the first fills caches
                done.append(run)
    return [
        row(("start", e.network, name), "s", spread([r.seconds for r in done]), max(r.peak_mb for r in done))
        for (e, name, _), done in zip(turns, runs, strict=True)
    ]


def whole_folder(folder: Path, entrants: list[Contestant], pace: Pace) -> list[Row]:
    """A folder from the files to the answers: the films a second that come on top of the first film and the start."""
    films = make_films(folder / "films", min(28, pace.in_folder))
    link_many(films[:1], folder / "one", 1)
    link_many(films, folder / "many", pace.in_folder)
    rates: list[list[float]] = [[] for _ in entrants]
    peaks = [0.0] * len(entrants)
    for entrant in entrants:
        for name in ("one", "many"):  # caches are filled
            finished(entrant.over(folder / name), QUIET)
    for _ in range(pace.folders):
        for k, entrant in enumerate(entrants):
            first, whole = (finished(entrant.over(folder / name), QUIET) for name in ("one", "many"))
            rates[k].append((pace.in_folder - 1) / max(whole.seconds - first.seconds, 1e-9))
            peaks[k] = max(peaks[k], whole.peak_mb)
    return [row(("folder", e.network, e.name), "films/s", spread(r), peak) for e, r, peak in zip(entrants, rates, peaks, strict=True)]
