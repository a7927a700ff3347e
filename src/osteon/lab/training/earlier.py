"""Recipes that an earlier osteon has stored: settings with another name now, and settings that are gone.

A setting that lost or gained nothing is deleted from the code; `docs/experiments.md` keeps what it gave. Where a stored recipe has it off,
nothing has changed; where it was on, the training cannot go on here, and what it has learned is used as far as its network still exists.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from osteon.errors import UsageError

LAST_COMMIT = "f8b2aae"
"""The last commit that had all settings in `GONE`."""

GONE: dict[str, object] = {
    "task": "label", "growth": 0.0, "branch": True, "focus": 0.0, "auxiliary": "", "mirror": 0.0, "teachers": "", "label_smoothing": 0.0,
    "augmentation.cast": 0.0, "augmentation.mixup": 0.0, "augmentation.mosaic": 0.0,
}  # fmt: skip
"""Setting -> its value that changes nothing."""

WEIGHTS_OF_GONE = ("auxiliary_loss", "teaching")
"""Settings that are gone and said nothing by themselves."""

OTHER_NETWORK = ("task", "branch")
"""Settings in `GONE` without which the weights have no network."""

RENAMED = {"mean_with": "average_with"}

T = TypeVar("T")


def refuse_old_name(setting: str) -> None:
    """Refuse the name of a setting that has another name now, or is gone.

    Raises:
        UsageError: it is one of these.
    """
    if setting in RENAMED:
        raise UsageError(f"--set {setting}: it is called {RENAMED[setting]} now. Write --set {RENAMED[setting]}=...")
    if setting in GONE or setting in WEIGHTS_OF_GONE:
        raise UsageError(
            f"--set {setting}: there is no such setting any more, since it did not help (docs/experiments.md). "
            f"Commit {LAST_COMMIT} of osteon is the last that has it."
        )


def read_stored(content: bytes, kind: type[T]) -> T:
    """Read a JSON record that holds a recipe, under the settings' present names.

    Raises:
        MsgspecError: it is no JSON, or not of this kind.
    """
    record = msgspec.json.decode(content)
    recipe = _recipe_in(record)
    for old in RENAMED.keys() & recipe.keys():
        recipe[RENAMED[old]] = recipe.pop(old)
    return msgspec.convert(record, kind)


def refuse_gone(file: Path, settings: Container[str] = frozenset(GONE), what: str = "continued") -> None:
    """Refuse a JSON record whose recipe has settings on that are gone; a file that is not there has none.

    Args:
        file: The record.
        settings: Those of `GONE` that matter.
        what: What cannot be done with the training.

    Raises:
        UsageError: it has some.
    """
    recipe = _recipe_in(msgspec.json.decode(file.read_bytes())) if file.exists() else {}
    values = {name: _value(recipe, name) for name in GONE if name in settings}
    if used := [f"{name}={value}" for name, value in values.items() if value is not None and value != GONE[name]]:
        raise UsageError(
            f"{file.parent} was trained with {', '.join(used)}, which osteon no longer has, so that it cannot be {what}. "
            f"Commit {LAST_COMMIT} of osteon is the last that can."
        )


def _recipe_in(record: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """Return the recipe of a training's record, or of the plan in a cross-validation's; {} where there is none."""
    if not isinstance(record, dict):
        return {}
    recipe = record.get("recipe")
    return recipe if isinstance(recipe, dict) else _recipe_in(record.get("plan"))


def _value(recipe: dict[str, Any], name: str) -> object:
    value: Any = recipe
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
