"""Each ablation is a cross-validation of one change, set against the base; what is made stays made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from made_crossvalidation import EXPORT, exported_at_once, with_folds
from osteon.atomic import hold
from osteon.errors import DivergedTraining, UsageError
from osteon.lab.evaluation.comparison import compare
from osteon.lab.evaluation.evaluation import ALL, Plan
from osteon.lab.evaluation.folder import plan_for, predictions_of
from osteon.lab.evaluation.folds import FOLDS
from osteon.lab.experiments.ablation.ablations import BASE, AblationStudy, planned, read_plan
from osteon.lab.experiments.ablation.folder import LOCKS
from osteon.lab.experiments.ablation.study import AblationRequest, ablate
from osteon.lab.experiments.ablation.table import markdown, remarks
from osteon.lab.progress import Progress
from tiny_training import SETTINGS, osteon, own_stores

SET = f"set = {list(SETTINGS)!r}"
PLAN = f"""{SET}

[ablations]
"no change" = []
"Other seed!" = ["seed=1"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ablation")
    with own_stores(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXPORT, exported_at_once)
        with_folds(folder)
        yield folder


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    """What `made` told."""
    return []


@pytest.fixture(scope="module")
def made(folder: Path, told: list[Progress]) -> AblationStudy:
    (folder / "plan.toml").write_text(PLAN)
    return ablate(asked(folder), told.append)


def asked(folder: Path, ablations: str = "plan.toml", out: str = "study") -> AblationRequest:
    return AblationRequest(index=folder / "index.parquet", file=folder / ablations, out=folder / out, command="osteon ablate")


def quiet(_: Progress) -> None:
    """Show nothing."""


def trained(folder: Path) -> dict[Path, int]:
    """When each weight was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.pt")}


def test_an_ablation_is_set_against_the_base_on_the_same_films(folder: Path, made: AblationStudy) -> None:
    assert [ablation.name for ablation in made.ablations] == [BASE, "no change", "Other seed!"]
    base, same, other = made.ablations
    assert not base.differences
    assert same.metrics == base.metrics
    assert same.differences["auroc"].value == 0
    first, second = (predictions_of(folder / "study" / name) for name in (BASE, "other-seed"))
    differences = compare(first, second, (plan_for(first, Plan(split=ALL)), plan_for(second, Plan(split=ALL)))).differences
    [wanted] = [d for d in differences if (d.group, d.name) == (FOLDS, "auroc")]
    assert other.differences["auroc"] == wanted
    assert other.metrics["auroc"].value == wanted.b


def test_the_table_has_a_line_a_ablation(folder: Path, made: AblationStudy) -> None:
    table = (folder / "study" / "ablation.md").read_text()
    assert table == markdown(made)
    lines = table.splitlines()
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[2].startswith("| base |  | ")
    assert lines[4].startswith("| Other seed! | `--set seed=1` | ")


def test_what_is_said_of_the_base_is_not_said_again(made: AblationStudy) -> None:
    base, *others = made.ablations
    noted = [
        msgspec.structs.replace(ablation, notes=("2 of 3 folds", *more)) for ablation, more in zip(others, ((), ("its own",)), strict=True)
    ]
    study = msgspec.structs.replace(made, ablations=(msgspec.structs.replace(base, notes=("2 of 3 folds",)), *noted))
    assert list(remarks(study)) == ["base: 2 of 3 folds", "Other seed!: its own"]
    assert markdown(study).endswith("\n\n- base: 2 of 3 folds\n- Other seed!: its own\n")


def test_a_name_does_not_break_the_table(made: AblationStudy) -> None:
    named = msgspec.structs.replace(made, ablations=(*made.ablations[:2], msgspec.structs.replace(made.ablations[2], name="a | b")))
    assert "| a \\| b | " in markdown(named)


def test_it_tells_how_far_it_is(made: AblationStudy, told: list[Progress]) -> None:
    assert {step.part.partition(", ")[0] for step in told} == {"base (1 of 3)", "no change (2 of 3)", "Other seed! (3 of 3)"}
    left = {name: [step.left for step in told if step.part.startswith(name) and step.left is not None] for name in (BASE, "Other seed!")}
    assert left[BASE][0] > left["Other seed!"][-1]
    assert left["Other seed!"][-1] < 1


def test_the_same_command_makes_only_what_was_added(folder: Path, made: AblationStudy) -> None:
    before = trained(folder / "study")
    (folder / "more.toml").write_text(f'{PLAN}"more" = ["seed=2"]\n')
    more = ablate(asked(folder, "more.toml"), quiet)
    assert more.ablations[:3] == made.ablations
    assert more.ablations[3].name == "more"
    after = trained(folder / "study")
    assert before.items() <= after.items()
    assert {file.relative_to(folder / "study").parts[0] for file in after.keys() - before.keys()} == {"more"}


def test_a_table_keeps_the_ablations_of_another_file_with_the_same_base(folder: Path, made: AblationStudy) -> None:
    ablate(asked(folder), quiet)
    (folder / "other.toml").write_text(f'{SET}\n\n[ablations]\n"third" = ["seed=3"]\n"other, seed" = ["seed=4"]\n')
    told: list[Progress] = []
    both = ablate(asked(folder, "other.toml"), told.append)
    earlier = [ablation for ablation in made.ablations if ablation.name == "no change"]  # "Other seed!" has given its folder away
    assert [ablation.name for ablation in both.ablations[:3]] == [BASE, "third", "other, seed"]
    assert (
        both.ablations[0] == made.ablations[0]
        and earlier[0] in both.ablations[3:]
        and "Other seed!" not in {each.name for each in both.ablations}
    )
    assert "| no change |" in (folder / "study" / "ablation.md").read_text()


def name_of(progress: Progress) -> str:
    """The ablation that a step belongs to."""
    return progress.part.split(" (")[0]


def test_a_table_keeps_its_rows_when_the_study_is_begun_anew_and_stopped(folder: Path, made: AblationStudy) -> None:
    table = folder / "study" / "ablation.md"
    ablate(asked(folder), quiet)
    before = table.read_text()

    def stop(progress: Progress) -> None:
        if "(3 of 3)" in progress.part:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(asked(folder), stop)
    assert table.read_text() == before


def test_what_another_process_makes_is_passed_over_and_at_the_end_joined(folder: Path, made: AblationStudy) -> None:
    ablate(asked(folder, out="shared"), quiet)
    order: dict[str, None] = {}
    (folder / "shared" / "ablation.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(made, ablations=())))
    taken = hold(folder / "shared" / LOCKS / BASE)
    assert taken is not None
    with taken:
        shared = ablate(asked(folder, out="shared"), lambda progress: order.setdefault(name_of(progress)))
    assert list(order) == ["no change", "Other seed!", BASE]
    assert [(ablation.name, ablation.metrics, ablation.differences) for ablation in shared.ablations] == [
        (ablation.name, ablation.metrics, ablation.differences) for ablation in made.ablations
    ]


def test_what_another_process_has_made_is_not_made_again(folder: Path, made: AblationStudy) -> None:
    ablate(asked(folder), quiet)
    names = set()
    taken = hold(folder / "study" / LOCKS / "no-change")
    assert taken is not None
    with taken:
        ablate(asked(folder), lambda progress: names.add(name_of(progress)))
    assert names == {BASE, "Other seed!"}


def test_another_base_begins_another_table(folder: Path, made: AblationStudy) -> None:
    (folder / "shorter.toml").write_text(PLAN.replace("\n\n[ablations]", "\nonly = [1]\n\n[ablations]"))

    def stop(progress: Progress) -> None:
        if name_of(progress) == "no change":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(asked(folder, "shorter.toml"), stop)
    assert [line.split(" | ")[0] for line in (folder / "study" / "ablation.md").read_text().splitlines()[2:4]] == ["| base", ""]


def test_what_goes_wrong_in_an_ablation_costs_it_alone(folder: Path, made: AblationStudy) -> None:
    (folder / "rates.toml").write_text(
        f'{SET}\n[ablations]\n"far too fast" = ["head_learning_rate=1e30", "ema=0"]\n'
        '"bare" = ["init=nowhere.pth"]\n"Other seed!" = ["seed=1"]\n'
    )
    answer = osteon("ablate", folder / "index.parquet", folder / "rates.toml", "-o", folder / "study")
    assert answer.status == 1, answer.error
    assert "far too fast" in answer.out
    assert "Other seed!" in answer.out
    table = (folder / "study" / "ablation.md").read_text()
    assert "- far too fast: " in table
    assert "- bare: nowhere.pth: the weights cannot be read" in table
    assert "| Other seed! | `--set seed=1` | 0." in table


def test_without_a_base_there_is_no_study(folder: Path) -> None:
    (folder / "fast.toml").write_text(
        f'set = {[*SETTINGS, "head_learning_rate=1e30", "ema=0"]!r}\n[ablations]\n"slow" = ["head_learning_rate=1e-3"]\n'
    )
    with pytest.raises(DivergedTraining):
        ablate(asked(folder, "fast.toml", "fast"), quiet)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("plan = ", "Invalid value"),
        ("[ablations]", "there is no ablation"),
        (f'{SET}\nbudgets = 3\n[ablations]\n"a" = []', "budget"),
        (f'{SET}\n[ablations]\n"wider" = ["wide=2"]', "wider: --set wide=2: no such setting"),
        (f'{SET}\n[ablations]\n"patient" = ["schedule=plateau"]', "patient: recipe osteon watches the loss"),
        (f'{SET}\n[ablations]\n"cold" = ["freeze=99"]', "cold: freeze=99: 99 blocks cannot be frozen"),
        (f'{SET}\n[ablations]\n"a b" = []\n"a-b" = []', "'a b' has no folder of its own"),
        (f'{SET}\n[ablations]\n"Base" = []', "'Base' has no folder of its own"),
        (f'{SET}\n[ablations]\n"../.." = []', "has no folder of its own"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_made(folder: Path, content: str, word: str) -> None:
    (folder / "wrong.toml").write_text(content)
    with pytest.raises(UsageError) as refused:
        ablate(asked(folder, "wrong.toml", "wrong"), quiet)
    assert str(refused.value).startswith(f"{folder / 'wrong.toml'}: ")
    assert word in str(refused.value)
    assert not (folder / "wrong").exists()


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    (folder / "plan.toml").write_text(PLAN)
    other = folder / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something that is no ablation study"):
        ablate(asked(folder, out="other"), quiet)


@pytest.mark.parametrize("file", sorted(Path("docs/ablations").glob("*.toml")), ids=lambda file: file.stem)
def test_the_plans_of_the_docs_can_be_made(file: Path) -> None:
    assert next(ablation.name for ablation, _ in planned(read_plan(file), file)) == BASE


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        ablate(asked(folder, "nowhere.toml"), quiet)
