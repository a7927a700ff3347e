"""DICOM -> grey pixels and source tags. pydicom and its decoders are imported here, once a film needs them, and by the clinic alone."""

from osteon.dicom.geometry import stored_point
from osteon.dicom.parsed import header
from osteon.dicom.radiograph import Radiograph, is_dicom, read_dicom

__all__ = ["Radiograph", "header", "is_dicom", "read_dicom", "stored_point"]
