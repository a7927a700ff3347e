"""Values that the standard knows. A tag may hold anything, a patient's name among them: what is not listed here is never shown."""

from __future__ import annotations

from osteon.regions import MURA_STUDY_TYPES, study_type

UNKNOWN = "an unknown value"

RADIOGRAPHY = ("CR", "DX", "RF", "RG")
"""Modality (0008,0060) of what is read (PS3.3 C.7.3.1.1.1)."""

# fmt: off
_MODALITIES = frozenset((
    *RADIOGRAPHY, "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CD", "CF", "CP", "CS", "CT", "CTPROTOCOL", "DD", "DF", "DG", "DM", "DMS",
    "DOC", "DS", "EC", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FA", "FID", "FS", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER",
    "KO", "LEN", "LP", "LS", "M3D", "MA", "MG", "MR", "MS", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT",
    "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN",
    "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP", "TG", "US", "VA", "VF", "XA", "XAPROTOCOL", "XC",
))
_PHOTOMETRIC = frozenset((  # PS3.3 C.7.6.3.1.2
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422",
    "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB",
))
_VIEWS = frozenset((  # ViewPosition (0018,5101): PS3.3 C.8.1.1 and C.8.11.5, and the words that consoles send for PS3.16 CID 4010
    "AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LAT", "LATERAL", "MEDIAL", "ML", "LM", "MLO", "LMO", "CC", "OBL", "OBLIQUE",
    "AXIAL", "SUNRISE", "SKYLINE", "TANGENTIAL", "TUNNEL", "FROG", "SCAPHOID", "MORTISE", "DP", "PD", "RAO", "LAO", "RPO", "LPO", "Y",
    "SWIMMERS",
))
# PS3.16 annex L and the spellings that consoles send, as `regions.study_type` writes them.
_BODY_PARTS = frozenset((
    *MURA_STUDY_TYPES, "ABDOMEN", "ABDOMENPELVIS", "ACJOINT", "ACROMIOCLAVICULARJOINT", "ANKLE", "AORTA", "ARM", "BACK", "BILEXTREMITY",
    "BLADDER", "BODY", "BONE", "BRAIN", "BREAST", "BUTTOCK", "CALCANEUS", "CALF", "CARPUS", "CERVICALSPINE", "CHEEK", "CHEST",
    "CHESTABDOMEN", "CHESTABDOMENPELVIS", "CLAVICLE", "COCCYX", "CSPINE", "CTSPINE", "EAR", "EXTREMITY", "EYE", "FACE", "FACIALBONE",
    "FEMUR", "FIBULA", "FOOT", "FOREFOOT", "GREATTOE", "HEAD", "HEADNECK", "HEART", "HEEL", "HINDFOOT", "HIP", "HIPS", "ILIUM", "JAW",
    "KIDNEY", "KNEE", "KNEES", "KUB", "LARYNX", "LEG", "LOWERLIMB", "LSPINE", "LSSPINE", "LUMBARSPINE", "LUMBOSACRALSPINE", "LUNG",
    "MANDIBLE", "MASTOID", "MAXILLA", "METACARPUS", "METATARSUS", "NASALBONE", "NECK", "NECKCHEST", "NOSE", "OPTICCANAL", "ORBIT",
    "PATELLA", "PELVIS", "PELVISLOWEXTREMIT", "PHALANX", "RADIUS", "RIB", "RIBS", "SACRUM", "SCAPHOID", "SCAPULA", "SCJOINT",
    "SHOULDERS", "SIJOINT", "SINUS", "SKULL", "SPINE", "SSPINE", "STERNOCLAVICULARJOINT", "STERNUM", "SUBTALARJOINT", "TARSUS", "THIGH",
    "THORACICSPINE", "THORAX", "TIBIA", "TLSPINE", "TMJ", "TMJOINT", "TOE", "TOOTH", "TSPINE", "ULNA", "UPPERABDOMEN", "UPPERLIMB",
    "WHOLEBODY", "WHOLESPINE", "ZYGOMA",
))
# fmt: on


def shown_modality(value: str) -> str:
    """Return a Modality as a message may show it."""
    return value if value in _MODALITIES else UNKNOWN


def shown_photometric(value: str) -> str:
    """Return a PhotometricInterpretation as a message may show it."""
    return value if value in _PHOTOMETRIC else UNKNOWN


def known_view(value: str) -> str:
    """Return a ViewPosition that is one, else ""."""
    return value.upper() if value.upper() in _VIEWS else ""


def known_part(value: str) -> str:
    """Return the study type that a BodyPartExamined names, "" where it names no part of the body that is known."""
    found = study_type(value)
    return found if found in _BODY_PARTS else ""
