"""One file with its card: the contract, the same answers in torch, OpenVINO and ONNX Runtime, nothing of the machine that made it."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from made_index import made_index
from osteon.card import Card, DataSource, Pooling
from osteon.errors import CheckpointError, ModelFileError, UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.progress import Epoch
from osteon.lab.training import checkpoint
from osteon.lab.training.export import Export, _card, check_model, export_run
from osteon.lab.training.networks.detector import Detector, Ensemble
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord
from osteon.opening import load_model
from osteon.prediction import pool_evidence
from tiny_training import SETTINGS, full_disk, osteon, own_stores, tiny

KINDS = ("ensemble", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("mean", "pyramid", "both")))
"""Two epochs of one training, each head alone, and two trainings. To trace a network takes ten seconds, so `make test` makes one file."""


@dataclass(frozen=True, slots=True)
class Made:
    """An exported file, and the network that it holds."""

    path: Path
    network: Detector | Ensemble
    card: Card


def made_run(folder: Path, index: Path, chosen: Recipe, epochs: int = 2) -> Path:
    """A run folder whose epochs have drawn weights, heads included: no step is needed to export."""
    run = RunFolder(folder)
    plan = Plan(index=str(index), fingerprint=fingerprint(read_index(index)))
    run.start(RunRecord(recipe=chosen, plan=plan, weights="random", code_commit="0123abcd"))
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        network = Detector(chosen)
        with torch.no_grad():
            for parameter in network.head.parameters():
                parameter.normal_(0, 0.05)
        checkpoint.save({"weights": network.state_dict()}, run.best_file(epoch))
    rows = [
        Epoch(epoch=i, loss=1, select_loss=1 + i, select_auroc=0.9 - i / 10, rate=1, films_per_second=1, seconds=1) for i in range(epochs)
    ]
    run.write_history(rows)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_stores(tmp_path_factory.mktemp("export")) as made:
        index = made_index(made)
        rows = read_index(index).with_row_index()
        status = pl.when(pl.col("index") == 0).then(pl.lit("unreadable")).otherwise("status")
        rows.with_columns(status=status).drop("index").write_parquet(index)
        made_run(made / "pyramid", index, tiny())
        made_run(made / "mean", index, recipe("paper", [*SETTINGS, "network=lite0", "head=mean", "frame.aspect=pad"]))
        yield made


@pytest.fixture(scope="module")
def exported(folder: Path) -> Callable[[str], Made]:
    """A file of each kind, made when it is first asked for."""

    @functools.cache
    def made(kind: str) -> Made:
        ask = {
            "pyramid": Export(folder / "pyramid", folder / "pyramid.onnx"),
            "mean": Export(folder / "mean", folder / "mean.onnx", name="wrist", version="2.1.0"),
            "ensemble": Export(folder / "pyramid", folder / "new folder" / "ensemble.onnx", members=2),
            "both": Export(folder / "pyramid", folder / "both.onnx", others=(folder / "mean",)),
        }[kind]
        members = [one for run in (ask.run, *ask.others) for one in networks(run, ask.members)]
        return Made(ask.out, members[0] if len(members) == 1 else Ensemble(members).eval(), export_run(ask).card)

    return made


def networks(run: Path, members: int = 1) -> list[Detector]:
    found = []
    for epoch in range(members):
        one = Detector(RunFolder(run).record().recipe)
        one.load_state_dict(checkpoint.load(RunFolder(run).best_file(epoch))["weights"])
        found.append(one.eval())
    return found


def films(n: int = 5) -> NDArray[np.uint8]:
    draw = np.random.default_rng(3)
    coarse = draw.uniform(0, 255, (n, 8, 8))
    return (np.kron(coarse, np.ones((8, 8))) * 0.8 + draw.uniform(0, 50, (n, 64, 64))).astype(np.uint8)


def by_onnxruntime(path: Path, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    logit, evidence = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["logit", "evidence"], {"image": batch})
    return logit, evidence


# The contract


@pytest.mark.parametrize("kind", KINDS)
def test_three_engines_give_one_answer_and_the_evidence_pools_to_the_logit(exported: Callable[[str], Made], kind: str) -> None:
    made = exported(kind)
    with torch.no_grad():
        logit, evidence = (part.numpy() for part in made.network(torch.from_numpy(films())))
    assert np.ptp(logit) > 0.01  # films that differ, or agreement would say nothing
    for told_logit, told_evidence in (load_model(made.path).run(films()), by_onnxruntime(made.path, films())):
        assert told_logit.dtype == told_evidence.dtype == np.float32
        np.testing.assert_allclose(told_logit, logit, atol=1e-3)
        np.testing.assert_allclose(told_evidence, evidence, atol=1e-3)
        np.testing.assert_allclose(pool_evidence(told_evidence, made.card.pooling), told_logit, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_s_answer_does_not_depend_on_its_batch(exported: Callable[[str], Made], kind: str) -> None:
    logit, evidence = by_onnxruntime(exported(kind).path, films())
    for i, film in enumerate(films()):
        one_logit, one_evidence = by_onnxruntime(exported(kind).path, film[None])
        np.testing.assert_allclose(one_logit[0], logit[i], atol=1e-4)
        np.testing.assert_allclose(one_evidence[0], evidence[i], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_the_contract_s(exported: Callable[[str], Made], kind: str) -> None:
    model = onnx.load(exported(kind).path)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    [image] = model.graph.input
    assert image.name == "image" and image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["n", 64, 64]
    outputs = {o.name: o.type.tensor_type for o in model.graph.output}
    assert {name: (o.elem_type, len(o.shape.dim)) for name, o in outputs.items()} == {"logit": (1, 1), "evidence": (1, 3)}
    assert [p.key for p in model.metadata_props] == ["card"]
    assert Card.from_json(model.metadata_props[0].value) == exported(kind).card == load_model(exported(kind).path).card


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]])
def test_an_ensemble_is_the_mean_of_its_members(exported: Callable[[str], Made], kind: str) -> None:
    ensemble = exported(kind).network
    assert isinstance(ensemble, Ensemble)
    with torch.no_grad():
        logits = np.mean([member(torch.from_numpy(films()))[0].numpy() for member in ensemble.members], axis=0)
    np.testing.assert_allclose(by_onnxruntime(exported(kind).path, films())[0], logits, atol=1e-3)


# The card


def test_the_card_says_what_was_trained(exported: Callable[[str], Made], folder: Path) -> None:
    card, index = exported("ensemble").card, read_index(folder / "index.parquet")
    assert (card.name, card.version, card.recipe, card.code_commit) == ("osteon", "0.1.0", "osteon", "0123abcd")
    assert card.network == "ensemble of 2 epochs of lite0"
    assert card.frame == tiny().frame and card.pooling == Pooling(kind="logsumexp", sharpness=2.0, bias=0.0)
    assert card.study_types == ("HAND", "WRIST")
    assert card.created == datetime.datetime.now(datetime.UTC).date().isoformat()
    assert card.weights == "random"
    trained = index.filter((pl.col("split") == "train") & (pl.col("status") != "unreadable"))
    assert len(trained) == 11  # of 12, one of which cannot be read
    assert card.data == (
        DataSource(
            name="films",
            films=11,
            studies=trained["study"].n_unique(),
            abnormal_films=3,
            split="train",
            fingerprint=fingerprint(index),
        ),
    )
    assert card.intended_use and card.limits


@pytest.mark.parametrize(
    ("learn", "films"),
    [("train", {"train": 11}), ("valid,train", {"train": 11, "valid": 6}), ("all", {"train": 11, "tune": 6, "valid": 6})],
)
def test_the_card_has_a_source_for_each_split_that_was_learned_from(folder: Path, learn: str, films: dict[str, int]) -> None:
    index = read_index(folder / "index.parquet")
    record = RunFolder(folder / "pyramid").record()
    record = msgspec.structs.replace(record, plan=msgspec.structs.replace(record.plan, train=learn, select=""))
    card = _card([record, record], networks(folder / "pyramid")[0], Export(folder, folder))
    assert {source.split: source.films for source in card.data} == films and len(card.data) == len(films)
    for source in card.data:
        mine = index.filter((pl.col("split") == source.split) & (pl.col("status") != "unreadable"))
        assert (source.studies, source.abnormal_films) == (mine["study"].n_unique(), mine["label"].sum())
        assert (source.name, source.fingerprint) == ("films", fingerprint(index))


@pytest.mark.long
def test_the_card_has_the_head_s_bias_and_the_name_that_was_asked_for(exported: Callable[[str], Made]) -> None:
    card, network = exported("mean").card, exported("mean").network
    assert isinstance(network, Detector)
    assert (card.reference, card.recipe, card.network) == ("wrist@2.1.0", "paper", "lite0")
    assert card.pooling == Pooling(kind="mean", bias=float(network.head.bias.detach())) and card.pooling.bias != 0


@pytest.mark.long
def test_the_card_of_two_trainings_names_both(exported: Callable[[str], Made]) -> None:
    card = exported("both").card
    assert card.recipe == "osteon, paper" and card.network == "ensemble of the best epoch of each of 2 trainings of lite0"
    assert len(card.data) == 1  # they learned from the same films


# Nothing of the machine


@pytest.mark.parametrize("kind", KINDS)
def test_no_path_and_no_source_line_of_the_machine_is_inside(exported: Callable[[str], Made], kind: str, folder: Path) -> None:
    model = onnx.load(str(exported(kind).path))
    for weight in model.graph.initializer:
        weight.ClearField("raw_data")  # among millions of random bytes stands any short word
    content = model.SerializeToString()
    here = {str(Path(__file__).parents[3]), str(Path(torch.__file__).parents[1]), str(Path.home()), str(folder), os.path.sep + "work"}
    for stray in (*here, "site-packages", ".py", "torch.nn", "stack_trace", "Traceback"):
        assert stray.encode() not in content, stray


def test_it_holds_the_weights_once(exported: Callable[[str], Made]) -> None:
    made = exported("ensemble")
    weights = 4 * sum(p.numel() for p in made.network.parameters())
    assert 0.95 * weights < made.path.stat().st_size < 1.05 * weights  # the norms are folded into their convolutions


# What is refused


def test_a_file_of_other_weights_is_refused(exported: Callable[[str], Made], folder: Path) -> None:
    made = exported("ensemble")
    assert check_model(made.network, made.path) < 1e-3
    members = networks(folder / "pyramid", 2)
    with torch.no_grad():
        dict(members[1].named_parameters())["head.whole.bias"].add_(0.02)  # the mean of two moves by half of it
    with pytest.raises(ModelFileError, match=r"differs from torch by 0\.01"):
        check_model(Ensemble(members).eval(), made.path)


@pytest.mark.long
def test_what_answers_differently_never_reaches_its_place(folder: Path, tmp_path: Path) -> None:
    # Weights so large that float32 rounds engine by engine to other logits: the file is true, and still not good enough.
    run = made_run(tmp_path / "run", folder / "index.parquet", tiny(), epochs=1)
    content = checkpoint.load(RunFolder(run).best_file(0))
    content["weights"]["head.cell.weight"] *= 1e6
    checkpoint.save(content, RunFolder(run).best_file(0))
    (tmp_path / "model.onnx").write_bytes(b"the last one")
    with pytest.raises(ModelFileError, match="differs from torch"):
        export_run(Export(run, tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx").read_bytes() == b"the last one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "run"]


def test_a_card_of_another_pooling_is_refused(exported: Callable[[str], Made], tmp_path: Path) -> None:
    made = exported("ensemble")
    model = onnx.load(made.path)
    for pooling in (msgspec.structs.replace(made.card.pooling, bias=1.0), Pooling(kind="mean")):
        onnx.helper.set_model_props(model, {"card": msgspec.structs.replace(made.card, pooling=pooling).to_json()})
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(ModelFileError, match="pooling"):
            check_model(made.network, tmp_path / "model.onnx")


def test_more_members_than_are_kept_are_refused(folder: Path, tmp_path: Path) -> None:
    for members in (3, 0):
        with pytest.raises(UsageError, match=rf"keeps the weights of 2 epochs, {members} were asked for.*--members"):
            export_run(Export(folder / "pyramid", tmp_path / "model.onnx", members=members))


def test_a_model_may_see_films_at_another_size_than_it_learned_at(folder: Path, tmp_path: Path) -> None:
    made_run(tmp_path / "run", folder / "index.parquet", tiny("network=lite0", "head=pyramid", "read_at=96"), epochs=1)
    out = tmp_path / "m.onnx"
    card = export_run(Export(tmp_path / "run", out)).card
    assert (card.frame.size, tiny().frame.size) == (96, 64)
    evidence = load_model(out).run(np.zeros((1, 96, 96), np.uint8))[1]
    assert evidence.shape == (1, 96 // tiny().evidence_stride, 96 // tiny().evidence_stride)
    stem = next(node for node in onnx.load(out).graph.node if node.op_type == "Conv")
    shapes = {value.name: tuple(value.dims) for value in onnx.load(out).graph.initializer}
    assert shapes[stem.input[1]] == (32, 1, 3, 3)  # one channel of three that are alike


def test_trainings_of_different_frames_are_refused(folder: Path, tmp_path: Path) -> None:
    other = made_run(tmp_path / "run", folder / "index.parquet", tiny("frame.size=96"), epochs=1)
    with pytest.raises(UsageError, match="another frame"):
        export_run(Export(folder / "pyramid", tmp_path / "model.onnx", others=(other,)))


def test_a_run_without_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no training"):
        export_run(Export(tmp_path, tmp_path / "model.onnx"))
    run = made_run(tmp_path / "run", folder / "index.parquet", tiny(), epochs=1)
    RunFolder(run).best_file(0).unlink()
    with pytest.raises(CheckpointError, match=r"epoch-000\.pt: no readable checkpoint"):
        export_run(Export(run, tmp_path / "model.onnx"))
    checkpoint.save({"weights": {"head": torch.ones(1)}}, RunFolder(run).best_file(0))
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        export_run(Export(run, tmp_path / "model.onnx"))


@pytest.mark.long
def test_a_full_disk_is_one_line_and_leaves_the_last_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"the last one")
    with full_disk(1_000_000):
        answer = osteon("export", folder / "pyramid", "-o", tmp_path / "model.onnx")
    assert answer.status == 74
    assert answer.error == f"osteon: {tmp_path}/model.onnx: cannot be written (File too large). Make room, or name another place with -o.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"] and (tmp_path / "model.onnx").read_bytes() == b"the last one"


# The command


@pytest.mark.long
def test_the_command_says_what_it_made(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    before = os.umask(0o022)
    try:
        answer = osteon("export", folder / "pyramid", "-o", out, "--name", "hand", "--version", "3.0.0")
    finally:
        os.umask(before)
    assert answer.status == 0 and answer.error == ""
    assert answer.out.startswith(f"{out}: hand@3.0.0, {out.stat().st_size / 1e6:.1f} MB, largest difference to torch ")
    assert out.stat().st_mode & 0o777 == 0o644  # others may read it, as any file


@pytest.mark.long
@pytest.mark.parametrize("name", ["densenet169", "lite2"])
def test_every_family_exports(folder: Path, tmp_path: Path, name: str) -> None:
    # Some minutes: DenseNet-169 has 595 layers to trace.
    run = made_run(tmp_path / "run", folder / "index.parquet", recipe("paper", [*SETTINGS, "freeze=0", f"network={name}"]), epochs=1)
    done = export_run(Export(run, tmp_path / "model.onnx"))
    logit, evidence = by_onnxruntime(tmp_path / "model.onnx", films())
    np.testing.assert_allclose(pool_evidence(evidence, done.card.pooling), logit, atol=1e-4)
