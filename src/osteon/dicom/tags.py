"""Attributes of a data set, read without trust: a file may lack them, leave them empty or fill them with anything."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from osteon.bounds import MOST_VALUE
from osteon.dicom.terms import UNKNOWN
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def text(ds: Dataset, keyword: str) -> str:
    """Return an attribute as text, the first of several; "" where it is missing, empty or broken. It is free text: not for a message."""
    return next(iter(texts(ds, keyword)), "")


def texts(ds: Dataset, keyword: str) -> list[str]:
    """Return an attribute's texts, none where it is missing, empty or broken. They are free texts: not for a message."""
    try:
        value = _value(ds, keyword) or ""
        return [str(one).strip() for one in ([value] if isinstance(value, str) else value)]
    except Exception:
        return []


def identity(ds: Dataset, keyword: str) -> str:
    """Return all that an attribute says, a person's name too, a broken one as its bytes; "" where it says nothing. For a hash alone."""
    try:
        value = _value(ds, keyword)
        return "" if value is None else str(value).strip()
    except Exception:
        return repr(getattr(ds.get_item(keyword), "value", b""))


def code(ds: Dataset, keyword: str) -> str:
    """Return a code string (PS3.5 6.2, CS) of one word, upper case; "?" where it is anything else. Not for a message, either."""
    found = text(ds, keyword).upper()
    return found if re.fullmatch("[A-Z0-9_]{0,16}", found) else "?"


def called(uid: str) -> str:
    """Return the name of a UID that DICOM registers (PS3.6 annex A), else that it is unknown: a private one may carry anything."""
    from pydicom._uid_dict import UID_dictionary

    return UID_dictionary[uid][0] if uid in UID_dictionary else UNKNOWN


def there(ds: Dataset, keyword: str) -> bool:
    """Tell whether an attribute is there and has a value, broken or not."""
    try:
        item = ds.get_item(keyword)
        return item is not None and bool(item.value or item.value == 0)
    except Exception:
        return True


def whole(ds: Dataset, keyword: str, absent: int) -> int:
    """Return an attribute as a whole number; `absent` where it is missing or empty, -1 where it is broken."""
    try:
        value = _value(ds, keyword)
        return absent if value is None or value == "" else int(value)
    except Exception:
        return -1


def number(ds: Dataset, keyword: str, absent: float) -> float:
    """Return an attribute as a number, the first of several; `absent` where it is missing or empty.

    Raises:
        UnsupportedFilm: it is there and no finite number.
    """
    found = numbers(ds, keyword)
    return found[0] if found else absent


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """Return an attribute's numbers, none where it is missing or empty.

    Raises:
        UnsupportedFilm: one of them is no finite number.
    """
    try:
        value = _value(ds, keyword)
        if value is None or (not isinstance(value, (int, float)) and len(value) == 0):
            return []
        found = [float(value)] if isinstance(value, (int, float, str)) else [float(one) for one in value]
    except Exception:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise UnsupportedFilm(f"{keyword} is no number. Have the sender correct it.")
    return found


def _value(ds: Dataset, keyword: str) -> Any:  # noqa: ANN401 - as pydicom makes it
    """Return the value of an attribute that is of a sane size; pydicom makes an object of each of its numbers."""
    raw = ds.get_item(keyword)
    if raw is not None and isinstance(raw.value, bytes) and len(raw.value) > MOST_VALUE:
        raise ValueError(keyword)
    return ds.get(keyword)
