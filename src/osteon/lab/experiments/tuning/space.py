"""Which settings of a recipe a tuning varies, and within what ranges.

A range is written `low..high`, `low..high:log` or `low..high:STEP`; a choice as `a,b,c`. Names are those of `--set`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec.inspect
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from osteon.errors import UsageError
from osteon.lab.training.recipe import FIXED, Recipe, recipe

Space: TypeAlias = dict[str, str]
"""Setting to range or choice, as it is written."""

AS_PUBLISHED: Space = {
    "learning_rate": "1e-5..1e-3:log",
    "head_learning_rate": "1e-5..1e-2:log",
    "batch": "8,16,32",
    "dropout": "0..0.5",
    "loss": "plain,weighted",
    "augmentation.rotation": "0..45",
    "augmentation.contrast": "0..0.4",
}
OURS: Space = {
    "learning_rate": "5e-5..2e-3:log",
    "head_learning_rate": "2e-4..5e-3:log",
    "weight_decay": "1e-3..0.2:log",
    "dropout": "0..0.5",
    "freeze": "0..6",
    "pooling.sharpness": "0.5..8:log",
    "box_loss": "0..6",
    "augmentation.scale": "0..0.4",
    "augmentation.contrast": "0..0.5",
}
SPACES: dict[str, Space] = {
    "paper": AS_PUBLISHED,
    "article": AS_PUBLISHED,
    "osteon": OURS,
    "boxed": {**OURS, "window": "0.35..0.75", "augmentation.cut": "0..0.6"},
}
"""What is searched where nothing else is said: settings that are worth a search, within a decade or two of the recipe's own values."""

DIGITS = 4
"""Significant digits of a value that is tried, so that the command that trains with it is short and gives the same."""


def search_space(name: str, given: Sequence[str] = (), fixed: Sequence[str] = ()) -> Space:
    """Return the space of a recipe.

    Args:
        name: The recipe's.
        given: `setting=range`, or TOML files of these; with one of them, nothing else is searched.
        fixed: `setting=value`, as for `--set`; such a setting is not searched.

    Raises:
        UsageError: a setting that is not there, a range that is none, ends that the recipe refuses, or nothing to search.
    """
    recipe(name, fixed)  # refuses what is no recipe, and what `fixed` gets wrong
    settled = {change.partition("=")[0] for change in fixed}
    asked = dict(pair for part in given for pair in _read(part))
    if twice := sorted(asked.keys() & settled):
        raise UsageError(f"{twice[0]} is both searched (--search) and set (--set). Leave one out.")
    space = asked or {key: text for key, text in SPACES[name].items() if key not in settled}
    if not space:
        raise UsageError("nothing is left to search. Give a range with --search, or set less with --set.")
    for key, distribution in distributions(space).items():
        for end in _ends(distribution):
            recipe(name, [*fixed, *changes({key: end})])
    return space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space as Optuna takes it.

    Raises:
        UsageError: a setting that no recipe has, or a range that is none.

    >>> distributions({"dropout": "0..0.5", "batch": "8,16"})
    {'dropout': FloatDistribution(high=0.5, log=False, low=0.0, step=None), 'batch': CategoricalDistribution(choices=('8', '16'))}
    """
    return {key: _distribution(key, text) for key, text in space.items()}


def changes(values: Mapping[str, Any]) -> list[str]:
    """Return drawn values as `setting=value`.

    >>> changes({"dropout": 0.123456, "batch": "16"})
    ['dropout=0.1235', 'batch=16']
    """
    return [f"{key}={value:.{DIGITS}g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()]


def own_values(space: Space, base: Recipe) -> dict[str, Any]:
    """Return the recipe's own values of the settings that are searched, those left out that lie outside the space."""
    found: dict[str, Any] = {}
    for key, distribution in distributions(space).items():
        value: Any = msgspec.to_builtins(base)
        for part in key.split("."):
            value = value[part]
        if isinstance(distribution, CategoricalDistribution):
            inside, value = str(value) in distribution.choices, str(value)
        else:
            inside = _reached(distribution, value)
        if inside:
            found[key] = value
    return found


def _reached(distribution: BaseDistribution, value: float) -> bool:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    steps = (value - distribution.low) / (distribution.step or 1)
    return distribution.low <= value <= distribution.high and (not distribution.step or abs(steps - round(steps)) < 1e-9)


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _read(part: str) -> Iterator[tuple[str, str]]:
    key, equals, text = part.partition("=")
    if equals:
        yield key.strip(), text.strip()
        return
    try:
        content = tomllib.loads(Path(part).read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"--search {part}: neither setting=range nor a file that can be read ({fault.strerror}).") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"{part}: no TOML ({fault}). Write lines such as: learning_rate = '1e-5..1e-3:log'") from fault
    yield from _flat(content, "", part)


def _flat(content: Mapping[str, Any], before: str, file: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.", file)
        elif isinstance(value, list):
            yield before + key, ",".join(str(item) for item in value)
        elif isinstance(value, str):
            yield before + key, value
        else:
            raise UsageError(f"{file}: {before}{key} = {value!r} is no range. Write 'low..high', or a list of choices.")


def _distribution(key: str, text: str) -> BaseDistribution:
    kind = _type(key)
    low, dots, rest = text.partition("..")
    if not dots:
        choices = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        if len(choices) < 2:
            raise UsageError(f"--search {key}={text}: a search needs low..high, or two choices or more. Fix a value with --set.")
        return CategoricalDistribution(choices)
    high, _, how = rest.partition(":")
    try:
        return _range(kind, (low, high), how)
    except (ValueError, ZeroDivisionError) as fault:
        raise UsageError(f"--search {key}={text}: no range ({fault}). Write low..high, low..high:log, or low..high:STEP.") from fault


def _range(kind: msgspec.inspect.Type, ends: tuple[str, str], how: str) -> BaseDistribution:
    if not isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        raise ValueError("its values are words: list them, as in a,b,c")
    number: type[int] | type[float] = int if isinstance(kind, msgspec.inspect.IntType) else float
    (low, high), log = (number(end) for end in ends), how == "log"
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("its ends do not ascend")
    step = None if log or not how else number(how)
    if step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        raise ValueError("its width is no multiple of the step")
    return IntDistribution(int(low), int(high), log, int(step or 1)) if number is int else FloatDistribution(low, high, log, step)


def _type(key: str) -> msgspec.inspect.Type:
    kind: msgspec.inspect.Type | None = msgspec.inspect.type_info(Recipe)
    for part in key.split("."):
        fields = {field.name: field.type for field in kind.fields} if isinstance(kind, msgspec.inspect.StructType) else {}
        kind = fields.get(part)
    if kind is None or isinstance(kind, msgspec.inspect.StructType) or key in FIXED:
        raise UsageError(f"--search {key}: a recipe has no such setting. Use the names that --set takes.")
    return kind
