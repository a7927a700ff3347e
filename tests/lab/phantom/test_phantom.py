"""Made radiographs: physics, geometry, determinism, layout, boxes, and no shortcut from a film's looks to its label."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from osteon.errors import DatasetError, UsageError
from osteon.film import read_film
from osteon.lab.phantom.anatomy import REGIONS
from osteon.lab.phantom.build import Build, wire
from osteon.lab.phantom.chords import chord, cut_chord
from osteon.lab.phantom.dataset import DatasetSpec, make_dataset, make_study, plan_dataset
from osteon.lab.phantom.film import draw_patient, make_film, stage
from osteon.lab.phantom.physics import (
    ATTENUATION,
    Exposure,
    Processing,
    collimator,
    develop,
    enlarge,
    expose,
    line_integral,
    transmission,
    wide_blur,
)
from osteon.lab.phantom.projection import Detector, thicknesses
from osteon.lab.phantom.skeleton import Body, Bone, Piece
from osteon.lab.phantom.solids import Box, Cut, Ellipsoid, rotation
from osteon.regions import MURA_STUDY_TYPES

TYPES = list(MURA_STUDY_TYPES)


def grid(half: float = 30, step: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(-half, half, step, dtype=np.float32) + np.float32(step / 2)
    return at[None, :], at[:, None]


# physics


@pytest.mark.parametrize(("material", "per_cm"), [("soft", 0.217), ("cortical", 0.604), ("titanium", 3.455), ("lead", 56.9)])
def test_coefficients_are_those_of_60_kev(material: str, per_cm: float) -> None:
    assert ATTENUATION[material] == pytest.approx(per_cm, rel=0.01)


def test_a_slab_transmits_as_beer_and_lambert_say() -> None:
    body = Body(flesh=(), pieces=(Piece(Box(np.zeros(3), np.diag([50.0, 50, 4])), "titanium"),))
    matter = thicknesses(body, Detector(left=-10, top=-10, pitch=0.5, height=40, width=40))
    assert np.allclose(matter["titanium"], 8.0, atol=1e-4)
    assert np.allclose(transmission(line_integral(matter)), np.exp(-3.4547 * 0.8), rtol=1e-4)


def test_attenuation_adds_up_over_materials() -> None:
    one, two = np.full((4, 4), 10, np.float32), np.full((4, 4), 5, np.float32)
    assert np.allclose(line_integral({"soft": one, "cortical": two}), 0.21709 + 0.5 * 0.60442, rtol=1e-4)


@pytest.mark.parametrize("quanta", [200.0, 5000.0])
def test_noise_variance_follows_the_dose(quanta: float) -> None:
    flat = np.full((200, 200), 1.0, np.float32)
    exposure = Exposure(quanta=quanta, scatter=0, heel=0)
    intensity = expose(flat, np.ones_like(flat), exposure, 1.0, np.random.default_rng(1))
    expected = np.exp(-1) + 0.012
    assert intensity.mean() == pytest.approx(expected, rel=0.02)
    assert intensity.var() == pytest.approx(expected / quanta, rel=0.05)


def test_scatter_makes_its_share_of_the_signal_and_veils_contrast() -> None:
    attenuation = np.full((120, 120), 1.0, np.float32)
    attenuation[50:70, 50:70] = 2.0
    field = np.ones_like(attenuation)
    clean, veiled = (expose(attenuation, field, Exposure(quanta=1e6, scatter=s, heel=0), 1.0, np.random.default_rng(0)) for s in (0.0, 0.4))
    assert veiled[55:65, 55:65].mean() > clean[55:65, 55:65].mean() * 1.3
    assert veiled[10, 10] / veiled[60, 60] < clean[10, 10] / clean[60, 60]


def test_the_heel_effect_is_a_gradient() -> None:
    flat = np.zeros((60, 60), np.float32)
    shot = expose(flat, np.ones_like(flat), Exposure(quanta=1e6, scatter=0, heel=0.2, heel_degrees=90), 1.0, np.random.default_rng(0))
    assert shot[5].mean() - shot[-5].mean() == pytest.approx(0.2 * 54 / 59, rel=0.1)


def test_the_picture_is_bone_bright_and_its_window_ignores_metal() -> None:
    attenuation = np.tile(np.linspace(0, 2, 160, dtype=np.float32), (160, 1))
    metal = attenuation.copy()
    metal[:20, :20] += 12
    tissue = np.ones(metal.shape, bool)
    tissue[:20, :20] = False
    field, plain = np.ones_like(attenuation), Processing(sharpen=0)
    picture = develop(transmission(attenuation), field, tissue, plain, 1.0)
    with_metal = develop(transmission(metal), field, tissue, plain, 1.0)
    assert (np.diff(picture[80].astype(int)) >= 0).all()
    assert np.abs(picture[100:].astype(int) - with_metal[100:]).max() <= 1
    assert with_metal[:18, :18].min() == 255


def test_a_turned_collimator_leaves_its_rectangle_open() -> None:
    field = collimator((200, 100), (0.5, 0.5, 0.4, 0.3, 0.0), 1.0)
    assert field.sum() == pytest.approx(0.8 * 100 * 0.6 * 200, rel=0.02)
    assert collimator((200, 100), (0.5, 0.5, 0.4, 0.3, 10.0), 1.0).sum() == pytest.approx(field.sum(), rel=0.02)


def test_enlarging_keeps_a_ramp_and_blurring_keeps_the_mean() -> None:
    ramp = np.arange(8, dtype=np.float32)[:, None] * np.ones((1, 8), np.float32)
    large = enlarge(ramp, 4)
    assert large.shape == (32, 32)
    assert np.allclose(large[2:-2, 5], (np.arange(2, 30) + 0.5) / 4 - 0.5, atol=1e-5)
    noise = np.random.default_rng(0).random((97, 130)).astype(np.float32)
    assert wide_blur(noise, 9).mean() == pytest.approx(noise.mean(), abs=0.02)


# geometry


def test_an_ellipsoid_has_its_volume_and_shell_from_every_side() -> None:
    x, y = grid()
    for turn in (np.eye(3), rotation(0, 35) @ rotation(1, 50)):
        solid = Ellipsoid(np.array([2.0, -3, 5]), np.diag([12.0, 8, 5]) @ turn.T, wall=1.0)
        c = chord(solid, x, y)
        volume = (c.far - c.near).sum() * 0.25
        core = (c.core_far - c.core_near).sum() * 0.25
        assert volume == pytest.approx(4 / 3 * np.pi * 12 * 8 * 5, rel=0.01)
        assert core == pytest.approx(4 / 3 * np.pi * 11 * 7 * 4, rel=0.01)


@pytest.mark.parametrize("tilt", [0.0, 30.0, 55.0])
def test_a_rod_keeps_its_volume_when_tilted_out_of_the_film(tilt: float) -> None:
    x, y = grid()
    direction = rotation(0, tilt) @ np.array([0, 1.0, 0])
    rod = wire(-15 * direction, 15 * direction, 3.0)
    c = chord(rod, x, y)
    assert (c.far - c.near).sum() * 0.25 == pytest.approx(np.pi * 9 * 30, rel=0.02)
    assert np.max(c.far - c.near) == pytest.approx(6 / np.cos(np.deg2rad(tilt)), rel=0.01)


def test_a_box_has_its_volume_when_turned() -> None:
    x, y = grid()
    turn = rotation(0, 25) @ rotation(1, 40) @ rotation(2, 15)
    c = chord(Box(np.array([1.0, 2, 3]), np.diag([10.0, 6, 2]) @ turn.T), x, y)
    assert np.maximum(c.far - c.near, 0).sum() * 0.25 == pytest.approx(8 * 10 * 6 * 2, rel=0.02)


def test_two_halves_and_the_gap_make_the_whole() -> None:
    x, y = grid()
    ball = Ellipsoid(np.zeros(3), np.diag([10.0, 10, 10]))
    normal = rotation(0, 50) @ np.array([0, 1.0, 0])
    cut = Cut(np.zeros(3), normal, np.array([1.0, 0, 0]), 2.0, np.array([[0.6, 4.0, 0.3]]))
    whole = chord(ball, x, y)
    volumes = [np.maximum(c.far - c.near, 0).sum() * 0.25 for c in (cut_chord(whole, [k], x, y) for k in (cut, cut.flipped()))]
    gap = 4 / 3 * np.pi * 1000 - sum(volumes)
    assert gap == pytest.approx(np.pi * (2 * 100 - 2 / 3), rel=0.05)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


def test_a_bone_is_bright_at_its_edges_and_dark_in_the_middle() -> None:
    rng = np.random.default_rng(0)
    patient = replace(draw_patient(rng, "FOREARM", False, Build()), mirrored=False)
    scene = stage(patient, REGIONS["FOREARM"].views[0], 400, np.random.default_rng(3))
    radius = scene.body.bone("radius").shaft
    assert radius is not None
    at, half = radius.at(0.55), radius.profile.across[140]
    body, edge = scene.detector, half - 0.5 * radius.profile.wall[140]

    def depth(point: np.ndarray) -> float:
        pixel = ((point[:2] - (body.left, body.top)) / body.pitch).astype(int)
        matter = thicknesses(Body(bones=(Bone("radius", (radius,)),)), body)
        return float(matter["cortical"][pixel[1], pixel[0]])

    assert depth(at + edge * radius.across) > 1.1 * depth(at)


# films


@pytest.mark.parametrize("study_type", TYPES)
def test_the_same_state_gives_the_same_film(study_type: str) -> None:
    one, two = (make_film(np.random.default_rng(5), study_type, True, 160) for _ in range(2))
    other = make_film(np.random.default_rng(6), study_type, True, 160)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.boxes == two.boxes
    assert one.pixels.shape != other.pixels.shape or not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("study_type", TYPES)
def test_every_view_is_a_film_of_the_asked_size(study_type: str) -> None:
    for view in REGIONS[study_type].views:
        film = make_film(np.random.default_rng(1), study_type, False, 192, view.name)
        assert film.view == view.name
        assert max(film.pixels.shape) == 192
        assert min(film.pixels.shape) >= 89
        assert (film.pixels.dtype, film.label, film.kind, film.boxes) == (np.uint8, 0, "", ())
        assert film.pixels.std() > 15


def test_no_side_is_shorter_than_the_shortest_in_mura() -> None:
    sizes = [min(make_film(np.random.default_rng(k), "FOREARM", False, 128).pixels.shape) for k in range(6)]
    assert min(sizes) >= 89


@pytest.mark.parametrize("study_type", TYPES)
def test_a_finding_changes_its_box_and_little_else(study_type: str) -> None:
    view, kinds = REGIONS[study_type].views[0], set()
    for seed in range(9):
        patient = draw_patient(np.random.default_rng(seed), study_type, True)
        assert patient.finding is not None
        sick, well = (stage(p, view, 160, np.random.default_rng(seed)) for p in (patient, replace(patient, finding=None)))
        assert well.box is None
        assert sick.box is not None
        assert sick.detector == well.detector
        change = np.abs(line_integral(thicknesses(sick.body, sick.detector)) - line_integral(thicknesses(well.body, well.detector)))
        x, y, width, height = sick.box
        assert min(x, y) >= 0
        assert x + width <= sick.detector.width + 0.1
        assert y + height <= sick.detector.height + 0.1
        inside = change[int(y) : int(np.ceil(y + height)), int(x) : int(np.ceil(x + width))]
        assert inside.max() > 0.02, (patient.finding.kind, seed)
        # A displaced fragment moves as a whole, and a bone that grows towards a joint a little along its length; the rest is local.
        displaced = patient.finding.kind == "fracture" and patient.finding.step != (0.0, 0.0)
        least = 0.0 if displaced else 0.4 if patient.finding.kind == "joint-space loss" else 0.95
        assert inside.sum() >= least * change.sum(), (patient.finding.kind, seed)
        assert inside.mean() > 2 * change.mean()
        kinds.add(patient.finding.kind)
    assert len(kinds) >= 3


def test_the_films_of_a_study_show_the_same_bones_in_other_views() -> None:
    patient = draw_patient(np.random.default_rng(2), "WRIST", False)
    bodies = [stage(patient, v, 160, np.random.default_rng(k)).body for k, v in enumerate(REGIONS["WRIST"].views)]
    shafts = [b.bone("radius").shaft for b in bodies]
    assert all(np.allclose(s.profile.across, shafts[0].profile.across) for s in shafts if s and shafts[0])


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match="KNEE"):
        make_film(np.random.default_rng(0), "KNEE", False)
    with pytest.raises(UsageError, match="has no view"):
        make_film(np.random.default_rng(0), "HAND", False, 160, "axial")


def auroc(labels: list[int], values: list[float]) -> float:
    area = float(roc_auc_score(labels, values))
    return max(area, 1 - area)


def test_looks_do_not_give_the_label_away() -> None:
    # The same films with and without a finding: what differs is the finding's own doing, not the draw's.
    pairs = [[make_film(np.random.default_rng([9, k]), TYPES[k % 7], a, 128) for a in (False, True)] for k in range(98)]
    pairs = [p for p in pairs if p[1].kind != "metal implant"]
    assert len(pairs) > 60
    assert all(p[0].pixels.shape == p[1].pixels.shape for p in pairs)
    films = [film for pair in pairs for film in pair]
    labels = [f.label for f in films]
    looks = {
        "mean": [float(f.pixels.mean()) for f in films],
        "spread": [float(f.pixels.std()) for f in films],
        "border": [float(np.concatenate([f.pixels[0], f.pixels[-1], f.pixels[:, 0], f.pixels[:, -1]]).mean()) for f in films],
        "white": [float((f.pixels > 250).mean()) for f in films],
        "black": [float((f.pixels < 5).mean()) for f in films],
    }
    areas = {name: auroc(labels, values) for name, values in looks.items()}
    assert max(areas.values()) < 0.55, areas


# data set


SPEC = DatasetSpec(studies=4, seed=4, sizes=(128, 150), valid_share=0.3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("phantom")
    seen: list[tuple[int, int]] = []
    made = make_dataset(folder, SPEC, lambda done, total: seen.append((done, total)))
    return folder, made, seen


def test_the_tree_is_muras(tree) -> None:
    folder, made, seen = tree
    root = folder / "PHANTOM-v1"
    films = [p for p in root.rglob("*.png") if not p.name.startswith(".")]
    assert len(films) == made.films == seen[-1][0] == seen[-1][1]
    for film in films:
        split, region, patient, study, name = film.relative_to(root).parts
        assert split in ("train", "valid")
        assert region.removeprefix("XR_") in MURA_STUDY_TYPES
        assert patient.startswith("patient")
        assert len(patient) == 12
        assert study.split("_")[1] in ("positive", "negative")
        assert name.startswith("image")
    by_split = {s: {p.parts[-3] for p in films if s in p.parts} for s in ("train", "valid")}
    assert not by_split["train"] & by_split["valid"]
    assert made.studies == 7 * 4


def test_the_tables_list_what_is_there(tree) -> None:
    folder, made, _ = tree
    root = folder / "PHANTOM-v1"
    listed = [line for s in ("train", "valid") for line in (root / f"{s}_image_paths.csv").read_text().split()]
    assert len(listed) == made.films
    assert all((folder / line).is_file() for line in listed)
    labels = [line.split(",") for s in ("train", "valid") for line in (root / f"{s}_labeled_studies.csv").read_text().split()]
    assert len(labels) == made.studies
    assert all(("positive" in path) == (label == "1") and path.endswith("/") for path, label in labels)
    written = json.loads((root / "phantom.json").read_text())
    assert written["made"]["films"] == made.films
    assert "workers" not in written["settings"]


def test_every_abnormal_film_has_a_box_on_it(tree) -> None:
    folder, made, _ = tree
    root = folder / "PHANTOM-v1"
    rows = list(csv.DictReader((root / "boxes.csv").read_text().splitlines()))
    assert {r["path"] for r in rows} == {str(p.relative_to(root)) for p in root.rglob("*_positive/image*.png")}
    assert sum(made.kinds.values()) == len(rows)
    for row in rows:
        pixels = read_film(root / row["path"]).pixels
        x, y, width, height = (float(row[k]) for k in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= pixels.shape[1] + 0.1
        assert 0 <= y < y + height <= pixels.shape[0] + 0.1


def test_workers_change_nothing(tmp_path) -> None:
    spec = replace(SPEC, studies=1, study_types=("HAND", "ELBOW"))
    make_dataset(tmp_path / "a", spec)
    make_dataset(tmp_path / "b", replace(spec, workers=2))
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_size_patient_and_films_a_study_do_not_go_with_the_label() -> None:
    plan = plan_dataset(DatasetSpec(studies=300))
    labels = [int(s.abnormal) for s in plan]
    assert auroc(labels, [s.films for s in plan]) < 0.55
    assert auroc(labels, [s.patient for s in plan]) < 0.55
    assert 0.38 < np.mean(labels) < 0.46
    several = len(plan) - len({s.patient for s in plan})
    assert several > 100
    assert len({s.folder for s in plan}) == len(plan)
    assert abs(np.mean([s.split == "valid" for s in plan]) - 0.15) < 0.03


def test_a_study_has_one_to_four_films_with_one_finding() -> None:
    study = next(s for s in plan_dataset(SPEC) if s.abnormal and s.films > 1)
    films = make_study(study, (128, 128))
    assert len(films) == study.films
    assert len({f.kind for f in films}) == 1
    assert all(f.boxes for f in films)


@pytest.mark.parametrize(
    "change",
    [
        {"studies": 0},
        {"valid_share": 1.0},
        {"sizes": (20, 40)},
        {"study_types": ("KNEE",)},
        {"findings": ("joint-space loss",)},
        {"findings": ("cyst",)},
        {"findings": ()},
        {"name": "MURA-v1.1"},
    ],
)
def test_settings_that_do_not_fit_are_refused(change, tmp_path) -> None:
    with pytest.raises(UsageError):
        make_dataset(tmp_path, replace(SPEC, **change))


def test_a_folder_with_something_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "PHANTOM-v1").mkdir()
    (tmp_path / "PHANTOM-v1" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="no phantom data set"):
        make_dataset(tmp_path, SPEC)


def test_a_begun_data_set_goes_on_and_another_does_not_mix_with_it(tree) -> None:
    folder, made, _ = tree
    film = next((folder / "PHANTOM-v1").rglob("image1.png"))
    before = film.read_bytes()
    film.unlink()
    (folder / "PHANTOM-v1" / "boxes.csv").unlink()
    assert make_dataset(folder, SPEC) == made
    assert film.read_bytes() == before
    with pytest.raises(DatasetError, match="other settings"):
        make_dataset(folder, replace(SPEC, seed=5))


def test_the_kinds_of_finding_can_be_chosen(tmp_path) -> None:
    made = make_dataset(tmp_path, replace(SPEC, study_types=("FOREARM",), findings=("fracture",)))
    assert set(made.kinds) == {"fracture"}


def test_the_command_says_what_it_made(tmp_path) -> None:
    from osteon.cli import app, phantom, predict  # noqa: F401 - two sub-commands, so that each has to be named

    result = CliRunner().invoke(app, ["phantom", "-o", str(tmp_path), "--studies", "1", "--size", "128", "128"])
    assert result.exit_code == 0, result.output
    assert "7 studies" in result.output
    assert (tmp_path / "PHANTOM-v1" / "boxes.csv").is_file()
