"""Every film looked at: what is wrong is said, what is known is not looked at again, what was done is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from polars.testing import assert_frame_equal

import made_dicom
from made_trees import film, png, write
from osteon.lab.data import inspection
from osteon.lab.data.inspection import inspect_films, read_headers


@pytest.fixture(autouse=True)
def _own_memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def films(tmp_path: Path) -> dict[str, str]:
    """Films of all kinds by name, absolute paths."""
    whole = png(film(0, 50, 60))
    made = {
        "good.png": whole,
        "cut.png": whole[: len(whole) // 2],
        "empty.png": b"",
        "text.png": b"this is text, not a film",
        "colour.png": b"",
        "small.png": png(film(1, 20, 20)),
        "huge.png": whole[:16] + (100_000).to_bytes(4, "big") * 2 + whole[24:],
        "good.jpg": b"",
        "good.tif": b"",
    }
    paths = {name: str(write(tmp_path / name, content)) for name, content in made.items()}
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)).save(paths["colour.png"])
    Image.fromarray(film(2, 50, 60)).save(paths["good.jpg"])
    Image.fromarray(film(3, 50, 60)).save(paths["good.tif"])
    return paths


def by_name(paths: dict[str, str], seen: pl.DataFrame) -> dict[str, dict[str, object]]:
    return dict(zip(paths, seen.to_dicts(), strict=True))


def test_inspect_says_what_is_wrong(films: dict[str, str]) -> None:
    seen = by_name(films, inspect_films(list(films.values())))
    good = seen["good.png"]
    assert (good["status"], good["reason"], good["width"], good["height"], good["format"]) == ("ok", "", 50, 60, "PNG")
    assert good["sha256"] == hashlib.sha256(Path(films["good.png"]).read_bytes()).hexdigest()
    assert len(good["thumbnail"]) == 64 * 64  # type: ignore[arg-type]
    assert (seen["good.jpg"]["format"], seen["good.tif"]["format"]) == ("JPEG", "TIFF")
    assert seen["cut.png"]["status"] == "truncated" and "ends early" in str(seen["cut.png"]["reason"])
    for name in ("empty.png", "text.png", "colour.png", "small.png", "huge.png"):
        assert seen[name]["status"] == "unreadable", name
        assert seen[name]["reason"] and films[name] not in str(seen[name]["reason"])
        assert (seen[name]["width"], seen[name]["thumbnail"]) == (None, b"")


def test_missing_film_is_unreadable(tmp_path: Path) -> None:
    for look in (inspect_films, read_headers):
        [row] = look([str(tmp_path / "gone.png")]).to_dicts()
        assert row["status"] == "unreadable" and "No such file" in row["reason"]


def test_headers_say_the_same_sizes(films: dict[str, str]) -> None:
    seen = by_name(films, read_headers(list(films.values())))
    for name, kind in (("good.png", "PNG"), ("good.jpg", "JPEG"), ("good.tif", "TIFF"), ("cut.png", "PNG"), ("colour.png", "PNG")):
        assert (seen[name]["status"], seen[name]["width"], seen[name]["height"], seen[name]["format"]) == ("ok", 50, 60, kind)
        assert (seen[name]["sha256"], seen[name]["thumbnail"]) == ("", b"")
    assert seen["empty.png"]["status"] == seen["text.png"]["status"] == "unreadable"
    assert seen["empty.png"]["reason"] == "the file is empty"


def test_headers_of_nothing() -> None:
    assert read_headers([]).height == inspect_films([]).height == 0
    assert read_headers([]).schema == inspect_films([]).schema


def test_headers_turn_a_film_as_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    path = tmp_path / "turned.jpg"
    Image.fromarray(film(0, 50, 60)).save(path, exif=exif)
    for look in (inspect_films, read_headers):
        [row] = look([str(path)]).to_dicts()
        assert (row["width"], row["height"]) == (60, 50)


def test_second_look_decodes_only_what_changed(films: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    paths = list(films.values())
    first = inspect_films(paths)
    write(Path(films["text.png"]), png(film(9)))
    looked: list[str] = []
    real = inspection.inspect

    def counted(path: str) -> inspection.Cells:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(inspection, "inspect", counted)
    again = by_name(films, inspect_films(paths))
    assert looked == [films["text.png"]] and again["text.png"]["status"] == "ok"
    assert again["good.png"] == by_name(films, first)["good.png"]


def test_interruption_keeps_what_was_decoded(films: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    paths = list(films.values())

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect_films(paths, interrupt, workers=1)
    steps: list[tuple[int, int]] = []
    inspect_films(paths, lambda done, total: steps.append((done, total)), workers=1)
    assert steps[0] == (4, len(paths)) and steps[-1] == (len(paths), len(paths))


def test_what_was_decoded_is_saved_on_the_way(films: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SAVE_EVERY", 0.0)
    paths = list(films.values())
    saved: list[int] = []

    def look(done: int, total: int) -> None:
        memory = inspection._memory(paths)
        assert memory
        saved.append(pl.read_parquet(memory).height if memory.is_file() else 0)

    whole = inspect_films(paths, look, workers=1)
    assert saved == [0, *range(len(paths))]
    assert_frame_equal(inspect_films(paths), whole)


@pytest.mark.parametrize("damage", [b"", b"no parquet"])
def test_damaged_memory_is_as_good_as_none(films: dict[str, str], damage: bytes) -> None:
    paths = list(films.values())
    whole = inspect_films(paths)
    memory = inspection._memory(paths)
    assert memory
    memory.write_bytes(damage)
    assert_frame_equal(inspect_films(paths), whole)


def test_no_cache_folder_or_one_that_cannot_be_written(films: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = inspect_films(list(films.values()))
    blocked = write(tmp_path / "a-file", b"")
    for told in ("", str(blocked)):
        monkeypatch.setenv("OSTEON_CACHE", told)
        assert_frame_equal(inspect_films(list(films.values())), whole)


def test_the_same_film_twice(films: dict[str, str]) -> None:
    seen = inspect_films([films["good.png"]] * 2)
    assert seen.row(0) == seen.row(1) and seen["status"].to_list() == ["ok", "ok"]


def test_a_folder_named_like_a_film(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for look in (inspect_films, read_headers):
        [row] = look([str(tmp_path / "folder.png")]).to_dicts()
        assert row["status"] == "unreadable" and row["reason"] == "it cannot be opened (Is a directory)"


def test_a_study_has_the_same_name_with_the_same_key_and_never_its_uid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(tmp_path / name) for name in ("1.dcm", "2.dcm", "3.dcm")]
    for file, uid in zip(files, ("1.2.3", "1.2.3", "1.2.4"), strict=True):
        Path(file).write_bytes(made_dicom.content(made_dicom.radiograph(StudyInstanceUID=uid)))
    names = []
    for cache in ("one", "two", "one", ""):
        monkeypatch.setenv("OSTEON_CACHE", cache and str(tmp_path / cache))
        first, second, third = inspect_films(files)["film_visit"].to_list()
        assert first == second != third and first.startswith("study-") and "1.2.3" not in first
        names.append(first)
    assert names[0] == names[2] and len(set(names)) == 3
    assert (tmp_path / "one" / "inspections" / "key").stat().st_mode & 0o077 == 0
