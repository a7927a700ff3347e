"""Another card into a model file: the weights stay, the file is whole or as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from made_model import made_card, make_model
from osteon.card import Calibration, Decision, Frame, Pooling
from osteon.errors import ModelFileError
from osteon.lab.model_file import file_sha256, model_path, with_card
from osteon.opening import load_model
from tiny_training import full_disk


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model.onnx", made_card(64))


def test_the_new_card_travels_and_the_answers_stay(made: Path, tmp_path: Path) -> None:
    old = load_model(made)
    card = msgspec.structs.replace(old.card, calibration=Calibration(slope=2, split="calib"), decision=Decision(threshold=0.4))
    with_card(made, card, tmp_path / "new" / "model.onnx")
    new = load_model(tmp_path / "new" / "model.onnx")
    assert new.card == card
    films = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    for before, after in zip(old.run(films), new.run(films), strict=True):
        np.testing.assert_array_equal(before, after)
    assert load_model(made).card == old.card


def test_weights_are_the_same_bytes(made: Path, tmp_path: Path) -> None:
    with_card(made, msgspec.structs.replace(load_model(made).card, version="2"), tmp_path / "new.onnx")
    graphs = [onnx.load(str(path)).graph.SerializeToString() for path in (made, tmp_path / "new.onnx")]
    assert graphs[0] == graphs[1]


def test_a_file_may_be_given_a_card_in_place(made: Path) -> None:
    card = msgspec.structs.replace(load_model(made).card, version="2")
    with_card(made, card, made)
    assert load_model(made).card == card
    assert [path.name for path in made.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("changes", [{"frame": Frame(size=128)}, {"pooling": Pooling(kind="mean")}])
def test_what_belongs_to_the_weights_cannot_be_changed(made: Path, changes: dict[str, object]) -> None:
    before = made.read_bytes()
    with pytest.raises(ModelFileError, match="belong to its weights"):
        with_card(made, msgspec.structs.replace(load_model(made).card, **changes), made)
    assert made.read_bytes() == before


def test_a_card_that_does_not_fit_leaves_the_old_file(made: Path) -> None:
    before = made.read_bytes()
    wrong = msgspec.structs.replace(load_model(made).card, decision=Decision(doubt_from=0.9, doubt_to=0.1))
    with pytest.raises(ModelFileError, match="doubt_from"):
        with_card(made, wrong, made)
    assert made.read_bytes() == before
    assert [path.name for path in made.parent.iterdir()] == ["model.onnx"]


def test_a_place_that_cannot_be_written_is_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot be written"):
        with_card(made, load_model(made).card, tmp_path / "file" / "model.onnx")


def test_a_full_disk_leaves_the_old_file(made: Path) -> None:
    before, card = made.read_bytes(), load_model(made).card
    with full_disk(len(before) // 2), pytest.raises(ModelFileError, match=r"File too large.*unchanged"):
        with_card(made, card, made)
    assert made.read_bytes() == before
    assert [path.name for path in made.parent.iterdir()] == ["model.onnx"]


def test_the_sha256_is_of_the_bytes(made: Path) -> None:
    assert file_sha256(made) == hashlib.sha256(made.read_bytes()).hexdigest()
    with pytest.raises(ModelFileError, match="cannot be read"):
        file_sha256(made.parent / "absent")


def test_a_reference_is_a_path_or_a_packaged_model(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.model_names.packaged_models", lambda: {"a@1.0": made, "a@1.1": made.with_name("newer.onnx")})
    assert model_path(str(made)) == made
    assert model_path("a@1.0") == made
    assert model_path(None).name == "newer.onnx"
    with pytest.raises(ModelFileError, match=r"there is no model a@2\.0; the package brings a@1\.0, a@1\.1"):
        model_path("a@2.0")
    monkeypatch.setattr("osteon.model_names.packaged_models", dict)
    with pytest.raises(ModelFileError, match="brings no model"):
        model_path(None)
