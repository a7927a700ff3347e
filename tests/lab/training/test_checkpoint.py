"""Written whole or not at all; read without running anything."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from osteon.errors import CheckpointError
from osteon.lab.training.checkpoint import load, save
from tiny_training import full_disk

CONTENT = {
    "network": {"weight": torch.arange(300_000, dtype=torch.float32), "counter": torch.tensor(3)},
    "mean": {},
    "position": {"epoch": 2, "loss": 0.1, "history": [{"select_auroc": None}]},
}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save(CONTENT, tmp_path / "checkpoint.pt")
    loaded = load(tmp_path / "checkpoint.pt")
    assert torch.equal(loaded["network"]["weight"], CONTENT["network"]["weight"])  # type: ignore[index]
    assert loaded["position"] == CONTENT["position"] and loaded["mean"] == {}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_same_content_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("one.pt", "two.pt"):
        save(CONTENT, tmp_path / name)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


def test_a_full_disk_leaves_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save({"position": 1}, path)
    for left in (0, 100_000, 1_190_000):  # before the first byte, within a tensor, near the end
        with full_disk(left), pytest.raises(CheckpointError, match=r"checkpoint\.pt: cannot be written \(File too large\).*--resume"):
            save(CONTENT, path)
        assert load(path) == {"position": 1}
        assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    save(CONTENT, path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="File exists"):
        save(CONTENT, tmp_path / "file" / "checkpoint.pt")


def test_a_half_written_file_is_never_taken_for_one(tmp_path: Path) -> None:
    # As a process killed in the middle leaves it.
    path = tmp_path / "checkpoint.pt"
    save({"position": 1}, path)
    path.with_name("checkpoint.part.pt").write_bytes(b"half")
    assert load(path) == {"position": 1}
    save({"position": 2}, path)
    assert load(path) == {"position": 2} and [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    save({"network": {"weight": torch.ones(4)}}, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for length in range(0, len(content), 61):
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pt: no readable checkpoint"):
            load(tmp_path / "cut.pt")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x04]\x94.", bytes(range(256)) * 9, b"PK\x03\x04" + b"\0" * 90])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        load(tmp_path / "checkpoint.pt")


def test_a_zip_of_other_things_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("films.txt", "none")
    (tmp_path / "folder.pt").mkdir()
    for name in ("zip.pt", "folder.pt", "gone.pt"):
        with pytest.raises(CheckpointError, match="no readable checkpoint"):
            load(tmp_path / name)


class Intruder:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"network": Intruder()}, tmp_path / "new.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Intruder()))
    for name in ("new.pt", "old.pt"):
        with pytest.raises(CheckpointError, match="no readable checkpoint"):
            load(tmp_path / name)
    assert not (tmp_path / "ran").exists()
