"""Is a film one that the model can answer for?

Three questions, the cheapest first: does the film declare a body part that the model never learned, is it blank, and is it unlike the
films that the model learned from. The last is the model file's own output `novelty`, with the card's threshold (`docs/guard.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from osteon.card import Card
    from osteon.film import Placement

LEAST_CONTRAST = 0.03
"""Between the 0.5 % and the 99.5 % quantile of a prepared film, of the range 0 to 1; below that it is blank."""

_TAIL = 0.005

# BodyPartExamined (PS3.16 annex L, with the spellings that CR consoles send), as `regions.study_type` returns it. Only what names one
# place of the body: a word such as EXTREMITY declares nothing that could be out of scope.
# fmt: off
_KNOWN_PARTS = frozenset((
    "ABDOMEN", "ABDOMENPELVIS", "ACJOINT", "ANKLE", "BREAST", "CALCANEUS", "CERVICALSPINE", "CHEST", "COCCYX", "CSPINE", "ELBOW", "FACE",
    "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HEEL", "HIP", "HUMERUS", "JAW", "KIDNEY", "KNEE", "KUB", "LEG", "LSPINE",
    "LUMBARSPINE", "LUNG", "MANDIBLE", "MAXILLA", "NASALBONE", "NECK", "ORBIT", "PATELLA", "PELVIS", "RIB", "RIBS", "SACRUM", "SCJOINT",
    "SHOULDER", "SINUS", "SKULL", "SPINE", "SSPINE", "STERNUM", "THIGH", "THORACICSPINE", "THORAX", "TMJ", "TMJOINT", "TOE", "TOOTH",
    "TSPINE", "UPPERABDOMEN", "WHOLESPINE", "WRIST", "ZYGOMA",
))
# fmt: on


def undeclared(study_type: str, card: Card) -> str:
    """Return why a film's declared body part is out of the card's scope, "" where it is not.

    Args:
        study_type: The film's, as `regions.study_type` wrote it; "" and words that name no one place are in scope.
        card: Of the model.
    """
    if study_type not in _KNOWN_PARTS or not card.body_parts or study_type in card.body_parts:
        return ""
    return f"it declares the body part {study_type}, which {card.reference} was not trained on"


def blank(prepared: NDArray[np.uint8], placement: Placement) -> str:
    """Return that a prepared film (S, S) shows nothing, "" where it shows something; the padding around it does not count."""
    left, top = round(placement.offset_x), round(placement.offset_y)
    width, height = round(placement.width * placement.scale_x), round(placement.height * placement.scale_y)
    low, high = np.quantile(prepared[top : top + height, left : left + width], (_TAIL, 1 - _TAIL))
    return "blank: it has hardly any contrast" if high - low < LEAST_CONTRAST * 255 else ""


def novel(novelty: float, card: Card) -> str:
    """Return that a film of this novelty is out of scope, "" where it is not, or the model has no guard."""
    if card.scope is None or novelty <= card.scope.threshold:
        return ""
    return f"too different from the training films ({novelty:.1f}; limit {card.scope.threshold:.1f})"


INVERTED = "its negative is not, so it is perhaps inverted: export it with bone bright"
"""Advice that is added where the negative of a refused film is in scope; no film is turned in silence."""
