"""Splits: nothing crosses, shares and strata are kept, the same seed gives the same split; leaks are named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from osteon.errors import LeakySplit, UsageError
from osteon.lab.splits import folds, leaks, refuse_leaks, split

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
