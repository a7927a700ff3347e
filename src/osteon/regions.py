"""Study types: MURA's seven, and any other name.

A study type is an upper-case word (`HAND`). MURA writes it as a folder `XR_HAND`, DICOM as BodyPartExamined (PS3.16, CID 4031);
both are read here, and nowhere else.
"""

from __future__ import annotations

import re

MURA_STUDY_TYPES = ("ELBOW", "FINGER", "FOREARM", "HAND", "HUMERUS", "SHOULDER", "WRIST")
"""The seven study types of MURA, in the order of the paper's tables."""

_BODY_PART_EXAMINED = {
    "UPPERARM": "HUMERUS",
    "ARM": "HUMERUS",
    "LOWERARM": "FOREARM",
    "THUMB": "FINGER",
    "TIBFIB": "LEG",
    "TIBIAFIBULA": "LEG",
    "LOWERLEG": "LEG",
    "CLAVICLE": "SHOULDER",
    "SCAPULA": "SHOULDER",
}


def study_type(text: str) -> str:
    """Return the study type that a folder name, a table or a BodyPartExamined names; "" for an empty text.

    >>> study_type("XR_HAND"), study_type("lower leg"), study_type("Wrist"), study_type("")
    ('HAND', 'LEG', 'WRIST', '')
    """
    word = re.sub(r"[^A-Z0-9+]", "", re.sub(r"^XR_", "", text.strip().upper()))
    return _BODY_PART_EXAMINED.get(word, word)
