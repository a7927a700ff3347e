"""DICOM -> grey pixels and source tags. pydicom and its decoders are imported here alone, and only once a film needs them."""

from osteon.dicom.radiograph import Radiograph, is_dicom, read_dicom

__all__ = ["Radiograph", "is_dicom", "read_dicom"]
