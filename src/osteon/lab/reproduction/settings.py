"""What recipe `osteon` becomes on other data and another device than it was tuned on, each change with its reason.

It was tuned on FracAtlas, where one film in six is abnormal and the fractures have boxes, and on two cores. `paper` and `article` stay as
published. What is given with `--set` goes before what is settled here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import msgspec
import polars as pl

from osteon.lab.training.recipe import Recipe
from osteon.lab.training.start.first_model import recipe_from

OURS = ("osteon",)
"""Recipes whose settings follow the data and the device, and whose probabilities, threshold and pooling are fitted on `tune`."""

LEAST_ABNORMAL = 0.25
"""Share of an epoch's films that are to be abnormal: films are repeated until it is reached, as often as the recipe does at most."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as `--set` takes it, and why it was made."""

    change: str
    why: str

    @property
    def name(self) -> str:
        """The setting's name."""
        return self.change.partition("=")[0]


class Settings(msgspec.Struct, frozen=True):
    """`settings.json`."""

    settled: tuple[Setting, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """Return the changes alone."""
        return tuple(setting.change for setting in self.settled)


def settle(asked: Recipe, given: Sequence[str], learned: pl.DataFrame, quick_in_bfloat16: bool) -> Settings:
    """Return what a recipe is changed in for these films and this device.

    Args:
        asked: The recipe with the changes that were given.
        given: These changes, `setting=value`.
        learned: The films of an index that are learned from.
        quick_in_bfloat16: The device computes in bfloat16 itself.
    """
    if asked.name not in OURS:
        return Settings()
    taken = {change.partition("=")[0] for change in given}
    found = (*_boxes(asked, learned), *_repeats(asked, learned), *_precision(asked, quick_in_bfloat16))
    return Settings(tuple(setting for setting in found if setting.name not in taken))


@cache
def settled_recipe(name: str, given: tuple[str, ...], settings: Settings) -> Recipe:
    """Return a recipe with what was given and what was settled, whose reasons stand in its departures; it fits the model it starts from.

    Raises:
        OsteonError: as `first_model.recipe_from`.
    """
    changed, whys = recipe_from(name, (*given, *settings.changes)), {setting.name: setting.why for setting in settings.settled}
    departures = ((line, whys.get(line.partition(":")[0])) for line in changed.departures)
    return msgspec.structs.replace(changed, departures=tuple(f"{line} ({why})" if why else line for line, why in departures))


def _boxes(asked: Recipe, learned: pl.DataFrame) -> Iterator[Setting]:
    boxed = learned.filter((pl.col("label") > 0) & (pl.col("boxes").list.len() > 0)) if "boxes" in learned.columns else learned.head(0)
    if asked.box_loss and boxed.is_empty():
        yield Setting(change="box_loss=0", why="no finding has a box here: the evidence learns from the labels of whole films alone")
    if asked.augmentation.cut and boxed.is_empty():  # abnormal films would stay whole, and a seam would say "normal"
        yield Setting(change="augmentation.cut=0", why="without boxes nobody knows on which side of a cut a finding is")


def _repeats(asked: Recipe, learned: pl.DataFrame) -> Iterator[Setting]:
    share = float(learned.select(pl.col("label").cast(pl.Float64).mean()).item() or 0.0)
    most = asked.abnormal_repeat
    fewest = next((n for n in range(1, most) if n * share / (n * share + 1 - share) >= LEAST_ABNORMAL), most)
    if fewest < most:
        yield Setting(change=f"abnormal_repeat={fewest}", why=f"{share:.0%} of the films are abnormal, which needs no more")


def _precision(asked: Recipe, quick_in_bfloat16: bool) -> Iterator[Setting]:
    if quick_in_bfloat16 and asked.precision == "float32":
        yield Setting(change="precision=bfloat16", why="the device computes in it: half the memory to move, the weights stay float32")
