"""Models by name: the package's, the user's folder's, and what was released earlier out of the history."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from made_model import made_card, make_model
from osteon import model_names as shelf_module
from osteon.errors import ModelFileError
from osteon.model_names import RELEASED, find_model, kept_models, models_folder, packaged_models, released
from osteon.opening import load_model

SCRIPT = Path(__file__).parents[1] / "scripts" / "earlier_model.py"


def placed(folder: Path, *versions: str, name: str = "osteon") -> None:
    for version in versions:
        make_model(folder / f"{name}-{version}.onnx", made_card(name=name, version=version))


class TestPackaged:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(shelf_module.resources, "files", lambda _: tmp_path)
        (tmp_path / RELEASED).touch()
        return tmp_path

    def test_the_newest_is_the_default_and_the_others_have_names(self, folder: Path) -> None:
        placed(folder, "0.9.0", "0.10.0", "0.2.0", "0.10.0rc1")
        (folder / "__init__.py").touch()
        (folder / "osteon-0.11.0.part.onnx").touch()  # a copy that was cut off
        assert list(packaged_models()) == ["osteon@0.2.0", "osteon@0.9.0", "osteon@0.10.0rc1", "osteon@0.10.0"]
        assert load_model().card.version == "0.10.0"
        assert load_model("osteon@0.2.0").card.version == "0.2.0"
        with pytest.raises(ModelFileError, match=r"no model osteon@3; the package brings osteon@0\.2\.0, .*`make model NAME=osteon@3`"):
            load_model("osteon@3")

    def test_each_file_is_called_as_its_card_says_and_is_the_released_one(self) -> None:
        models = packaged_models()
        assert len(models) == 1  # the repository holds one released model at a time
        assert [load_model(reference).card.reference for reference in models] == list(models)
        assert load_model().card.reference == list(models)[-1]
        for reference, file in models.items():
            assert hashlib.sha256(file.read_bytes()).hexdigest() == released()[reference]

    def test_a_package_without_a_model_says_so(self, folder: Path) -> None:
        with pytest.raises(ModelFileError, match="brings no model"):
            load_model()

    def test_a_path_with_an_at_sign_is_a_path(self, folder: Path) -> None:
        assert load_model(str(make_model(folder / "of@me" / "m.onnx"))).card.name == "made"


class TestShelf:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("OSTEON_MODELS", str(tmp_path / "models"))
        return tmp_path / "models"

    def test_a_model_on_the_shelf_has_a_name_and_is_not_the_default(self, folder: Path) -> None:
        placed(folder, "9.0.0", "8.0.0", name="mine")
        assert list(kept_models()) == ["mine@8.0.0", "mine@9.0.0"]
        assert load_model("mine@8.0.0").card.version == "8.0.0"
        assert find_model("packaged") == find_model() == packaged_models()[load_model().card.reference]
        with pytest.raises(ModelFileError, match=r"no model mine@7; .*in .*models are mine@8\.0\.0, mine@9\.0\.0\. What was"):
            find_model("mine@7")

    def test_the_package_goes_before_the_shelf(self, folder: Path) -> None:
        (reference,) = packaged_models()
        placed(folder, reference.partition("@")[2], name=reference.partition("@")[0])
        assert find_model(reference) == packaged_models()[reference]

    def test_another_file_by_a_released_name_is_refused(self, folder: Path) -> None:
        placed(folder, "0.1.0", name="fracture")
        with pytest.raises(ModelFileError, match=r"this is not the fracture@0\.1\.0 that was released\. Get it again: `make model"):
            load_model("fracture@0.1.0")

    def test_where_it_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OSTEON_MODELS")
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert models_folder() == Path("/data/osteon/models")
        monkeypatch.delenv("XDG_DATA_HOME")
        monkeypatch.setenv("HOME", "/home/me")
        assert models_folder() == Path("/home/me/.local/share/osteon/models")
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where there is no home
        assert models_folder() is None and kept_models() == {}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
class TestEarlier:
    """`make model`, on a made repository whose history holds two releases."""

    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        """The script and the hall in a repository of their own, in which 0.1.0 was released, renewed and replaced."""
        root = tmp_path / "clone"
        models = root / "src" / "osteon" / "models"
        (root / "scripts").mkdir(parents=True)
        (root / "scripts" / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
        git(tmp_path, "init", "-q", str(root))
        placed(models, "0.1.0")
        wanted = hashlib.sha256((models / "osteon-0.1.0.onnx").read_bytes()).hexdigest()
        git(root, "add", "."), git(root, "commit", "-qm", "0.1.0")
        (models / "osteon-0.1.0.onnx").unlink()
        git(root, "commit", "-qam", "0.2.0")
        (models / "osteon-0.1.0.onnx").write_bytes(b"another")
        git(root, "add", "."), git(root, "commit", "-qm", "a slip")
        (models / "osteon-0.1.0.onnx").unlink()
        git(root, "commit", "-qam", "mended")
        (models / RELEASED).write_text(f"{wanted}  osteon-0.1.0.onnx\n{'0' * 64}  osteon-0.0.9.onnx\n")
        return root

    def test_it_comes_onto_the_shelf_as_it_was(self, clone: Path, tmp_path: Path) -> None:
        done = get(clone, "osteon@0.1.0", tmp_path / "kept")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"osteon@0.1.0 is {tmp_path / 'kept' / 'osteon-0.1.0.onnx'}\n"
        assert load_model(tmp_path / "kept" / "osteon-0.1.0.onnx").card.reference == "osteon@0.1.0"

    def test_what_is_there_stays_and_what_is_damaged_comes_anew(self, clone: Path, tmp_path: Path) -> None:
        file = tmp_path / "kept" / "osteon-0.1.0.onnx"
        get(clone, "osteon@0.1.0", file.parent)
        content, made = file.read_bytes(), file.stat().st_mtime_ns
        assert get(clone, "osteon@0.1.0", file.parent).returncode == 0 and file.stat().st_mtime_ns == made
        file.write_bytes(content[:-1])
        assert get(clone, "osteon@0.1.0", file.parent).returncode == 0 and file.read_bytes() == content

    @pytest.mark.parametrize(
        ("reference", "line"),
        [
            ("osteon@7", "osteon@7 was never released. Name one of these: osteon@0.0.9, osteon@0.1.0;"),
            ("", "no model was named"),
            ("osteon@0.0.9", "history does not hold src/osteon/models/osteon-0.0.9.onnx"),
        ],
    )
    def test_what_cannot_be_had_is_one_line(self, clone: Path, tmp_path: Path, reference: str, line: str) -> None:
        done = get(clone, reference, tmp_path / "kept")
        assert done.returncode == 1 and line in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "kept").exists()


def test_without_git_it_says_so(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path), "OSTEON_MODELS": str(tmp_path / "kept")}
    asked = [sys.executable, str(SCRIPT), "fracture@0.1.0"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1 and "git is not installed" in done.stderr and "Traceback" not in done.stderr


def git(folder: Path, *words: str) -> None:
    own = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)


def get(clone: Path, reference: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with the made list of releases."""
    code = (
        "import runpy, sys, pathlib, osteon.model_names as s; "
        f"s.resources.files = lambda _: pathlib.Path({str(clone / 'src' / 'osteon' / 'models')!r}); "
        f"sys.argv = ['earlier_model.py', {reference!r}]; runpy.run_path({str(clone / 'scripts' / SCRIPT.name)!r}, run_name='__main__')"
    )
    environment = os.environ | {"OSTEON_MODELS": str(folder)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
