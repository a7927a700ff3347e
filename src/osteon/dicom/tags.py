"""Attributes of a data set, read without trust: a file may lack them, leave them empty or fill them with anything."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def text(ds: Dataset, keyword: str) -> str:
    """Return an attribute as text, the first of several; "" where it is missing, empty or broken."""
    try:
        value = ds.get(keyword)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        return str(value[0]).strip() if value else ""
    except Exception:
        return ""


def code(ds: Dataset, keyword: str) -> str:
    """Return a code string (PS3.5 6.2, CS) of one word, upper case, fit for a message; "?" where it is anything else.

    A damaged length makes an element swallow its neighbours, a patient's name among them.
    """
    found = text(ds, keyword).upper()
    return found if re.fullmatch("[A-Z0-9_]{0,16}", found) else "?"


def called(uid: str) -> str:
    """Return the name of a UID that DICOM registers, or the UID; "?" where it is none."""
    from pydicom.uid import UID

    return UID(uid).name if re.fullmatch("[0-9.]{1,64}", uid) else "?"


def whole(ds: Dataset, keyword: str, absent: int) -> int:
    """Return an attribute as a whole number; `absent` where it is missing or empty, -1 where it is broken."""
    try:
        value = ds.get(keyword)
        return absent if value is None or value == "" else int(value)
    except Exception:
        return -1


def has_items(ds: Dataset, keyword: str) -> bool:
    """Tell whether a sequence is there and not empty; a broken one counts as there."""
    try:
        return bool(ds.get(keyword))
    except Exception:
        return True


def number(ds: Dataset, keyword: str, absent: float) -> float:
    """Return an attribute as a number, the first of several; `absent` where it is missing or empty.

    Raises:
        UnsupportedFilm: it is there and no finite number.
    """
    try:
        value = ds.get(keyword)
        if value is None or (not isinstance(value, (int, float)) and len(value) == 0):
            return absent
        found = float(value if isinstance(value, (int, float, str)) else value[0])
    except Exception:
        found = math.nan
    if not math.isfinite(found):
        raise UnsupportedFilm(f"{keyword} is no number. Have the sender correct it.")
    return found
