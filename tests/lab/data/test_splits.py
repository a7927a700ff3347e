"""Splits and folds: nothing crosses, shares and strata are kept, the same seed gives the same; fixed folds; leaks are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from command_line import Typed
from made_index import made_index
from osteon.errors import BadManifest, EmptyDataset, LeakySplit, UsageError
from osteon.lab.data.index import read_index
from osteon.lab.data.leaks import leaks, refuse_leaks, seen
from osteon.lab.data.splits import Apart, fixed_folds, folds, learned, set_apart, split

PARTS = {"train": 0.7, "tune": 0.1, "valid": 0.2}


def films(groups: list[int], seed: int = 0) -> pl.DataFrame:
    """An index (the columns that a split looks at) of groups of these sizes, types and labels at random."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"g{k:04d}" for k in range(len(groups))], groups)
    types = np.repeat(rng.choice(["HAND", "LEG", "HIP"], len(groups), p=[0.5, 0.4, 0.1]), groups)
    return pl.DataFrame(
        {
            "path": [f"{k:05d}.png" for k in range(len(names))],
            "group": names,
            "study_type": types,
            "label": pl.Series((rng.random(len(names)) < 0.3).astype(np.int8)),
            "split": [""] * len(names),
        }
    )


sizes = st.lists(st.integers(1, 12), min_size=1, max_size=120)
shares = st.lists(st.integers(1, 10), min_size=1, max_size=4).map(lambda w: {f"part{k}": x / sum(w) for k, x in enumerate(w)})


@settings(max_examples=25)
@given(sizes, shares, st.integers(0, 5))
def test_no_group_crosses_and_every_film_has_a_part(groups: list[int], parts: dict[str, float], seed: int) -> None:
    dealt = split(films(groups), parts, seed)
    assert leaks(dealt).is_empty()
    assert set(dealt["split"]) <= set(parts)
    assert_frame_equal(dealt.drop("split"), films(groups).drop("split"))


@settings(max_examples=25)
@given(sizes, shares, st.integers(0, 5))
def test_the_same_seed_gives_the_same_split_in_any_order_of_rows(groups: list[int], parts: dict[str, float], seed: int) -> None:
    table = films(groups)
    shuffled = split(table.sample(fraction=1, shuffle=True, seed=seed), parts, seed)
    assert_frame_equal(shuffled.sort("path"), split(table, parts, seed))


def test_another_seed_gives_another_split() -> None:
    table = films([3] * 100)
    assert not split(table, PARTS, 0)["split"].equals(split(table, PARTS, 1)["split"])


@settings(max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=60, max_size=150), shares)
def test_shares_come_out_within_the_largest_group(groups: list[int], parts: dict[str, float]) -> None:
    dealt = split(films(groups), parts)
    for name, share in parts.items():
        assert abs(dealt.filter(pl.col("split") == name).height - share * dealt.height) <= max(groups) + 1


def test_study_types_and_labels_are_shared_out_alike() -> None:
    dealt = split(films(np.random.default_rng(1).integers(1, 8, 800).tolist()), PARTS)
    strata = dealt.group_by("study_type", "label").len().sort("study_type", "label")
    for name, share in PARTS.items():
        mine = dealt.filter(pl.col("split") == name).group_by("study_type", "label").len().sort("study_type", "label")
        assert np.abs(mine["len"].to_numpy() - share * strata["len"].to_numpy()).max() < 3


def test_films_without_a_label_are_a_stratum_of_their_own() -> None:
    table = films([1] * 200).with_columns(label=pl.when(pl.int_range(pl.len()) < 100).then("label"))
    dealt = split(table, {"a": 0.5, "b": 0.5})
    assert abs(dealt.filter(pl.col("label").is_null() & (pl.col("split") == "a")).height - 50) <= 1


def test_one_split_alone_is_dealt_out() -> None:
    published = films([2] * 100).with_columns(split=pl.when(pl.int_range(pl.len()) < 160).then(pl.lit("train")).otherwise(pl.lit("valid")))
    dealt = split(published, {"train": 0.9, "tune": 0.1}, of="train")
    assert dealt.filter(pl.col("split") == "valid")["path"].equals(published.filter(pl.col("split") == "valid")["path"])
    assert dealt["split"].value_counts().sort("split").rows() == [("train", 144), ("tune", 16), ("valid", 40)]
    with pytest.raises(UsageError, match="no film stands in split 'test'"):
        split(published, {"a": 1.0}, of="test")


def test_folds_partition_the_groups_evenly() -> None:
    table = folds(films([4] * 100), 5)
    sizes_ = table["fold"].value_counts().sort("fold")
    assert sizes_["fold"].to_list() == list(range(5)) and (sizes_["count"].cast(pl.Int64) - 80).abs().max() <= 4  # a group
    assert (table.group_by("group").agg(pl.n_unique("fold"))["fold"] == 1).all()
    assert table.schema["fold"] == pl.Int32 and (table["split"] == "").all()


@pytest.mark.parametrize("count", [-1, 1, 4])
def test_folds_that_cannot_be(count: int) -> None:
    with pytest.raises(UsageError, match="at least 2 folds"):
        folds(films([2, 2, 2]), count)


def published(groups: int = 60) -> pl.DataFrame:
    """Groups of three, of which those of the last third are the published `valid`."""
    return films([3] * groups).with_columns(
        split=pl.when(pl.int_range(pl.len()) >= 2 * groups).then(pl.lit("valid")).otherwise(pl.lit("train"))
    )


def test_the_first_fold_may_be_a_split_that_others_have_published() -> None:
    table = folds(published(), 5, first="valid")
    assert (table["fold"] == 0).equals(table["split"] == "valid")
    counts = table.filter(pl.col("fold") > 0)["fold"].value_counts().sort("fold")
    assert counts.rows() == [(1, 30), (2, 30), (3, 30), (4, 30)]
    assert (table.group_by("group").agg(pl.n_unique("fold"))["fold"] == 1).all() and table.schema["fold"] == pl.Int32
    assert_frame_equal(folds(table.sample(fraction=1, shuffle=True, seed=1), 5, first="valid").sort("path"), table)
    assert not folds(published(), 5, 1, "valid")["fold"].equals(table["fold"])
    assert folds(published(), 2, first="valid")["fold"].unique().to_list() == [0, 1]


def test_a_first_fold_that_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"no film stands in split 'test'; the index has \['train', 'valid'\]"):
        folds(published(), 5, first="test")
    for count in (1, 42):
        with pytest.raises(UsageError, match=f"{count} folds of 40 groups outside of split 'valid': give at least 2 folds"):
            folds(published(), count, first="valid")
    crossing = published().with_columns(group=pl.when(pl.int_range(pl.len()) == 179).then(pl.lit("g0000")).otherwise("group"))
    with pytest.raises(LeakySplit, match=r"more than one fold: 00179.png \(fold 0\) and 00000.png \(fold \d\)\. .*osteon split"):
        folds(crossing, 5, first="valid")


def test_fixed_folds_are_those_of_the_file(tmp_path: Path) -> None:
    table, file = folds(films([3] * 20), 4), tmp_path / "folds.csv"
    table.select("path", "fold").sample(fraction=1, shuffle=True, seed=2).write_csv(file)
    again, strangers = fixed_folds(table.drop("fold"), file)
    assert_frame_equal(again, table)
    assert strangers == 0
    others = table.with_columns(fold=pl.lit(3)).sample(fraction=1, shuffle=True, seed=5)
    again, _ = fixed_folds(others, file)  # folds that were there give way, and the rows stay in their order
    assert again["path"].equals(others["path"]) and again.schema["fold"] == pl.Int32
    assert_frame_equal(again.sort("path").select(table.columns), table)
    again, strangers = fixed_folds(table.head(30).drop("fold"), file)
    assert_frame_equal(again, table.head(30))
    assert strangers == 30


def test_a_file_of_folds_fixes_the_splits_that_it_names(tmp_path: Path) -> None:
    table = films([2, 2]).with_columns(split=pl.lit("train"))
    (tmp_path / "folds.csv").write_text("path,split,fold\n00000.png,valid,0\n00001.png,valid,0\n00002.png,,1\n00003.png,,1\n")
    assert fixed_folds(table, tmp_path / "folds.csv")[0]["split"].to_list() == ["valid", "valid", "train", "train"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no such file"),
        ("", "no folds can be read from it"),
        ("path,part\n00000.png,0\n", "no folds can be read from it"),
        ("path,fold\n00000.png,first\n", "no folds can be read from it"),
        ("path,fold\n00000.png,0\n00001.png,\n", r"gives no fold to 3 films of the index \(00001.png, 00002.png, 00003.png\)"),
        ("path,fold\n00000.png,0\n00000.png,0\n00001.png,0\n00002.png,1\n00003.png,1\n", r"names 1 films twice \(00000.png\)"),
        ("path,fold\n00000.png,0\n00000.png,1\n", r"names 1 films twice \(00000.png\) and gives no fold to 3 films"),
        ("path,fold\n00000.png,-1\n00001.png,-1\n00002.png,1\n00003.png,1\n", "has a fold below 0"),
    ],
)
def test_a_file_that_fixes_no_folds_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "folds.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadManifest, match=said) as refusal:
        fixed_folds(films([2, 2]), file)
    assert str(file) in str(refusal.value) and "\n" not in str(refusal.value)


def test_fixed_folds_that_a_group_crosses_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("path,fold\n00000.png,0\n00001.png,1\n00002.png,1\n00003.png,1\n")
    with pytest.raises(LeakySplit, match=r"more than one fold: 00000.png \(fold 0\) and 00001.png \(fold 1\)"):
        fixed_folds(films([2, 2]), tmp_path / "folds.csv")


def test_the_command_fixes_folds_in_a_file_and_takes_them_from_it(osteon: Typed) -> None:
    index = made_index(osteon.folder, {"train": 24, "valid": 8})
    status, out, _ = osteon("split", index, "--folds", 3, "--first", "valid", "-o", "folds.csv")
    assert status == 0 and "32 films" in out
    dealt = read_index("folds.csv")
    assert (dealt["fold"] == 0).equals(dealt["split"] == "valid") and set(dealt["fold"]) == {0, 1, 2}
    read_index(index).filter(pl.col("split") == "train").write_parquet(index)
    status, out, _ = osteon("split", index, "--folds", "folds.csv", "-o", "fixed.parquet")
    assert status == 0 and "split: folds of folds.csv, which names 8 films that are not in this index" in out
    assert_frame_equal(read_index("fixed.parquet"), dealt.filter(pl.col("split") == "train").cast({"fold": pl.Int32}))
    for words, status, said in (
        (("--first", "valid"), 64, "say how many with --folds"),
        (("--folds", "folds.csv", "--first", "valid"), 64, "--first goes with a number of folds"),
        (("--folds", "absent.csv"), 65, "absent.csv: there is no such file"),
        (("--folds", "1"), 64, "at least 2 folds"),
    ):
        told = osteon("split", index, "-o", "other.parquet", *words)
        assert told[0] == status and said in told[2]
    assert not Path("other.parquet").exists()


@pytest.mark.parametrize("parts", [{}, {"a": 0.5}, {"a": 0.0, "b": 1.0}, {"a": -0.5, "b": 1.5}, {"": 1.0}, {"a": float("nan")}])
def test_parts_that_are_none(parts: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="a share above 0, together 1"):
        split(films([2, 2]), parts)


def test_leaks_are_named() -> None:
    table = films([2, 2, 1]).with_columns(split=pl.Series(["train", "valid", "train", "train", ""]))
    assert leaks(table).to_dicts() == [{"group": "g0000", "splits": ["train", "valid"], "films": ["00000.png", "00001.png"]}]
    with pytest.raises(LeakySplit, match=r"00000.png \(train\) and 00001.png \(valid\)\. .*--allow-leaks"):
        refuse_leaks(table)
    [finding] = refuse_leaks(table, allow=True)
    assert (finding.kind, finding.reason) == ("leak", "one group stands in train and valid")


def test_many_leaks_are_counted() -> None:
    table = films([2] * 9).with_columns(split=pl.Series(["train", "valid"] * 9))
    with pytest.raises(LeakySplit, match="and 4 more"):
        refuse_leaks(table)


def test_no_leak_is_no_finding() -> None:
    assert refuse_leaks(films([2, 2])) == []


def test_a_training_learns_from_the_splits_that_it_names() -> None:
    table = films([1] * 6).with_columns(split=pl.Series(["train", "", "tune", "train", "valid", ""]))
    for names, rows in (("train", [0, 3]), ("train,valid", [0, 3, 4]), (" valid , train ", [0, 3, 4]), ("all", [0, 1, 2, 3, 4, 5])):
        assert learned(table, names)["path"].to_list() == [f"{row:05d}.png" for row in rows]
    with pytest.raises(EmptyDataset, match=r"no split 'test' \(it has: train, tune, valid\)"):
        learned(table, "train,test")


def test_films_are_known_by_file_place_and_group() -> None:
    def table(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=["root", "path", "group", "sha256"], orient="row")

    known = table(("/a", "1.png", "p1", "11"), ("/a", "2.png", "p2", ""), ("/b", "9.png", "p9", "99"))
    told = seen(
        table(
            ("/c", "5.png", "p5", "11"),  # the same file elsewhere
            ("/a", "2.png", "p7", ""),  # the same place
            ("/a", "3.png", "p1", "33"),  # the same patient
            ("/a", "9.png", "p9", ""),  # another data set's place and patient, and no hash
        ),
        known,
    )
    assert told.select("root", "path").rows() == [("/a", "2.png"), ("/a", "3.png"), ("/c", "5.png")]


def two_machines() -> pl.DataFrame:
    """Twelve groups of four films, three of which another machine made; a fourth has a film of each."""
    table = films([4] * 12)
    wide = pl.int_range(pl.len()) < 13
    return table.with_columns(root=pl.lit("/data"), width=pl.when(wide).then(640).otherwise(373))


def test_another_machine_s_films_are_the_test_and_their_groups_in_no_other_part() -> None:
    dealt, words = set_apart(two_machines(), Apart("width > 454", {"train": 0.8, "tune": 0.2}))
    assert words == "test where width > 454 (13 films), 3 other films of their groups in no split, train=0.8,tune=0.2 of the others, seed 0"
    assert (dealt["split"] == "test").to_list() == [True] * 13 + [False] * 35
    assert dealt["split"][13:16].to_list() == [""] * 3
    assert set(dealt["split"][16:]) == {"train", "tune"}
    assert leaks(dealt).is_empty()
    assert_frame_equal(dealt.drop("split"), two_machines().drop("split"))


@pytest.mark.parametrize(("condition", "reason"), [
    ("width >", "this is no condition over the index's columns (unable to parse"),
    ("machine = 'B'", "this is no condition over the index's columns (unable to find column"),
    ("width", "this is not true or false for each film"),
    ("max(width) > 3", "this is not true or false for each film"),
    ("width > 1000", "it holds for no film"),
    ("width > 1", "it holds for every film"),
])  # fmt: skip
def test_a_condition_that_says_nothing_is_refused(osteon: Typed, condition: str, reason: str) -> None:
    made_index(osteon.folder, {"train": 12})
    status, _, err = osteon("split", "index.parquet", "-o", "o.parquet", "--test", condition)
    assert status == 64 and reason in err and err.count("\n") == 1
    assert not Path("o.parquet").exists()


def test_the_command_splits_by_a_condition_and_shows_the_folds(osteon: Typed) -> None:
    made_index(osteon.folder, {"a": 24, "b": 8})
    words = ("split", "index.parquet", "-o", "o.parquet", "--test", "split = 'b'", "--parts", "train=0.75,tune=0.25")
    status, out, _ = osteon(*words)
    assert status == 0 and "split: test where split = 'b' (8 films), train=0.75,tune=0.25 of the others, seed 0" in out
    assert read_index("o.parquet").group_by("split").len().sort("split").rows() == [("test", 8), ("train", 18), ("tune", 6)]
    status, out, _ = osteon("split", "o.parquet", "-o", "o.parquet", "--folds", 4)
    table = read_index("o.parquet")
    shown = [line.split() for line in out.splitlines()]
    first = table.filter(pl.col("fold") == 0)
    assert ["fold", "films", "abnormal", "groups"] in shown
    assert ["0", str(len(first)), str(int(first["label"].sum())), str(first["group"].n_unique())] in shown
    for wrong, reason in (
        (("--folds", 3), "two ways to split"), (("--of", "a"), "are made of all films"), (("--parts", "test=1"), "has that name too"),
    ):  # fmt: skip
        assert reason in osteon("split", "index.parquet", "-o", "n.parquet", "--test", "split = 'b'", *wrong)[2]
