"""Codes of what a result says (PS3.16), and those that no standard has."""

from __future__ import annotations

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

SCHEME = "99OSTEON"
"""Of the answers that people see: no standard has them, and present or absent would say more than a model knows."""

ANSWER = CodedConcept("answer", SCHEME, "Answer that people see")
ANSWERS = {
    "no": CodedConcept("no", SCHEME, "No: not suspected"),
    "doubt": CodedConcept("uncertain", SCHEME, "Uncertain"),
    "yes": CodedConcept("yes", SCHEME, "Yes: suspected"),
}
NOT_DONE = CodedConcept("373121007", "SCT", "Test not done")
FINDING = codes.DCM.Finding
PROBABILITY = CodedConcept("122157", "DCM", "Probability")
COMMENT = codes.DCM.Comment
ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")
PROCEDURE = CodedConcept("363680008", "SCT", "Radiographic imaging procedure")

_FINDINGS = {"fracture": CodedConcept("125605004", "SCT", "Fracture of bone")}
_ABNORMAL = CodedConcept("263654008", "SCT", "Abnormal")
_SITES = {
    "HAND": ("85562004", "Hand"), "FINGER": ("7569003", "Finger"), "WRIST": ("74670003", "Wrist joint"), "FOREARM": ("14975008", "Forearm"),
    "HUMERUS": ("85050009", "Humerus"), "SHOULDER": ("16982005", "Shoulder"), "HIP": ("29836001", "Hip"), "KNEE": ("72696002", "Knee"),
    "LEG": ("30021000", "Lower leg"), "FOOT": ("56459004", "Foot"),
}  # fmt: skip


def scheme() -> CodingSchemeIdentificationItem:
    """Return what the private scheme is."""
    return CodingSchemeIdentificationItem(designator=SCHEME, name="osteon answers", responsible_organization="osteon")


def finding(name: str) -> CodedConcept:
    """Return the code of what a model finds; abnormality where no code is known."""
    return _FINDINGS.get(name, _ABNORMAL)


def site(study_type: str) -> CodedConcept | None:
    """Return the code of a study type, None where none is known."""
    found = _SITES.get(study_type)
    return CodedConcept(found[0], "SCT", found[1]) if found else None
