"""Counts of an index: pure tables, no film opened."""

from __future__ import annotations

import polars as pl
from scipy import stats

from osteon.lab.data.index import COLUMNS
from osteon.lab.data.layouts.mura import PUBLISHED, PUBLISHED_PATIENTS
from osteon.lab.evaluation import bootstrap
from osteon.lab.exploration.records import ALL, WORDS, Cell, Compared, Share, Size, Spread, Tally

ORDER = ("train", "tune", "valid", "test")
"""Splits in the order of a training; others follow by name."""

UNSPLIT, UNKNOWN = "not split", "unknown"
MOST_SIZES = 12
"""How many of the most frequent film sizes are listed."""

_MADE = {*COLUMNS, "fold"}
_PUBLISHED_WORDS = ("normal studies", "abnormal studies", "normal films", "abnormal films")
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def named(films: pl.DataFrame) -> pl.DataFrame:
    """Return the films with a word where split or study type is empty."""
    words = {"split": UNSPLIT, "study_type": UNKNOWN}
    return films.with_columns(pl.when(pl.col(c) == "").then(pl.lit(word)).otherwise(c).alias(c) for c, word in words.items())


def studies_of(films: pl.DataFrame) -> pl.DataFrame:
    """Return a row a study: abnormal if one of its films is, normal if all are, of no label otherwise."""
    label = pl.when(pl.col("label").max() == 1).then(1).when(pl.col("label").null_count() == 0).then(0)
    shared = pl.first("split", "study_type", "patient", "group")
    return films.group_by("study", maintain_order=True).agg(shared, label.cast(pl.Int8).alias("label"), pl.len().alias("films"))


def cells(films: pl.DataFrame) -> list[Cell]:
    """Return the counts of every split and study type, and of each of them over all; splits in `ORDER`, study types by name."""
    known = bool((films["patient"] != "").any())
    rows = []
    for keys in (["split", "study_type"], ["split"], ["study_type"], []):
        joint = [c for c in ("split", "study_type") if c not in keys]
        by_film = films.with_columns(pl.lit(ALL).alias(c) for c in joint)
        rows += _cells(by_film, known)
    return sorted(rows, key=lambda c: (c.split == ALL, *_place(c.split), c.study_type == ALL, c.study_type))


def tally(parts: pl.DataFrame, whole: str, part: str) -> list[Tally]:
    """Count by split how many parts (distinct values of a column) each whole has; a whole of no name is left out."""
    sizes = parts.filter(pl.col(whole) != "").group_by("split", whole).agg(size=pl.n_unique(part))
    rows = sizes.group_by("split", "size").len().rows()
    return sorted((Tally(*row) for row in rows), key=lambda t: (*_place(t.split), t.size))


def spreads(films: pl.DataFrame) -> list[Spread]:
    """Return how width, height (pixels), megapixels and aspect (width / height) are distributed among the films of each label."""
    measures = measured(films).select("label", "width", "height", "megapixels", "aspect").drop_nulls("aspect")
    rows = []
    for name in measures.columns[1:]:
        quantiles = {k: pl.col(name).quantile(q, "linear") for k, q in (("p5", 0.05), ("median", 0.5), ("p95", 0.95))}
        table = measures.group_by("label").agg(films=pl.len(), least=pl.col(name).min(), most=pl.col(name).max(), **quantiles)
        ordered = table.sort("label", descending=True, nulls_last=True).to_dicts()
        rows += [Spread(name=name, **(row | {"label": WORDS[row["label"]]})) for row in ordered]
    return rows


def measured(films: pl.DataFrame) -> pl.DataFrame:
    """Return the films with `megapixels` and `aspect`, null where the size is unknown."""
    width, height = pl.col("width").cast(pl.Float64), pl.col("height").cast(pl.Float64)
    sized = pl.when((width > 0) & (height > 0))
    return films.with_columns(megapixels=sized.then(width * height / 1e6), aspect=sized.then(width / height))


def sizes(films: pl.DataFrame) -> list[Size]:
    """Return the most frequent sizes."""
    table = films.drop_nulls(["width", "height"]).group_by("width", "height").len()
    return [Size(*row) for row in table.sort("len", "width", "height", descending=[True, False, False]).head(MOST_SIZES).iter_rows()]


def formats(films: pl.DataFrame) -> dict[str, int]:
    """Return how many films each file format has, "" left out."""
    table = films.filter(pl.col("format") != "").group_by("format").len().sort("len", "format", descending=[True, False])
    return dict(table.iter_rows())


def flags(films: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the further columns of an index that are yes or no (truth values, 0 and 1, or these words), as truth values."""
    found = {}
    for name in (c for c in films.columns if c not in _MADE and not films[c].dtype.is_nested()):
        words = films[name].cast(pl.String, strict=False).str.to_lowercase()
        words = pl.DataFrame([words]).select(pl.when(pl.col(name) != "").then(name)).to_series()
        if words.null_count() < films.height and words.drop_nulls().is_in([*_YES, *_NO]).all():
            found[name] = words.is_in(list(_YES))
    return found


def hardware(films: pl.DataFrame) -> list[Share]:
    """Return the share of films with metal implants by study type and label, over all first; empty where no column `hardware` tells."""
    flag = next((values for name, values in flags(films).items() if name.lower() == "hardware"), None)
    if flag is None:
        return []
    told = films.select("study_type", "label", "group").with_columns(flag=flag).drop_nulls("flag")
    both = pl.concat([told.with_columns(study_type=pl.lit(ALL)), told])
    counted = both.group_by("study_type", "label", maintain_order=True).agg(
        films=pl.len(), count=pl.col("flag").sum(), groups=pl.n_unique("group")
    )
    rows = counted.sort(pl.col("study_type") != ALL, "study_type", "label", descending=[False, False, True], nulls_last=True)
    return [_share(row) for row in rows.to_dicts()]


def compared(films: pl.DataFrame) -> list[Compared]:
    """Return a data set in MURA's layout beside what MURA was published with.

    A study counts where MURA has it: its name begins with the published split, whatever split it stands in since.
    """
    split = pl.col("study").str.extract(r"^(train|valid)/").fill_null("")
    mine = {(c.split, c.study_type): c for c in cells(films.with_columns(split=split))}
    rows = []
    for name, types in PUBLISHED.items():
        whole = mine.get((name, ALL))
        rows.append(Compared(name, ALL, "patients", whole.patients or 0 if whole else 0, PUBLISHED_PATIENTS[name]))
        for study_type, want in types.items():
            c = mine.get((name, study_type))
            here = (c.normal_studies, c.abnormal_studies, c.normal_films, c.abnormal_films) if c else (0, 0, 0, 0)
            rows += [Compared(name, study_type, *told) for told in zip(_PUBLISHED_WORDS, here, want, strict=True)]
    return rows


def interval(share: float, groups: int) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of a share on the number of groups, None below `bootstrap.LEAST_CLUSTERS` of them.

    Films of a group count as one: where they differ that is too careful, never too bold.
    """
    if groups < bootstrap.LEAST_CLUSTERS:
        return None
    return bootstrap.wilson(share, groups, float(stats.t.ppf(0.975, groups - 1)))


def _cells(films: pl.DataFrame, known: bool) -> list[Cell]:
    keys = ["split", "study_type"]
    of_films = films.group_by(keys).agg(
        patients=pl.col("patient").filter(pl.col("patient") != "").n_unique() if known else pl.lit(None, pl.Int64),
        groups=pl.n_unique("group"),
        films=pl.len(),
        normal_films=(pl.col("label") == 0).sum(),
        abnormal_films=(pl.col("label") == 1).sum(),
    )
    by_label = {"normal_studies": (pl.col("label") == 0).sum(), "abnormal_studies": (pl.col("label") == 1).sum()}
    of_studies = studies_of(films).group_by(keys).agg(studies=pl.len(), **by_label)
    together = of_films.join(of_studies, on=keys, how="left").with_columns(pl.col("studies", *by_label).fill_null(0))
    return [Cell(**row) for row in together.to_dicts()]


def _share(row: dict[str, int]) -> Share:
    share = row["count"] / row["films"]
    low, high = interval(share, row["groups"]) or (None, None)
    return Share(
        study_type=str(row["study_type"]),
        label=WORDS[row["label"]],
        films=row["films"],
        count=row["count"],
        share=share,
        low=low,
        high=high,
    )


def _place(split: str) -> tuple[int, str]:
    return (ORDER.index(split) if split in ORDER else len(ORDER) + (split == UNSPLIT), split)
