"""Made DICOM radiographs: what the tests write."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
NAME = "DOE^JANE"
"""A patient's name that stands in every made file, and in no message."""


def steps() -> NDArray[np.uint16]:
    """Return (32, 40) of 12 bits."""
    y, x = np.mgrid[:32, :40]
    return ((x // 8) * 900 + (y // 8) * 150).astype("<u2")


def radiograph(pixels: NDArray[Any] | None = None, **attributes: object) -> Dataset:
    """Return a computed radiograph, 12 bits stored in 16 unless `pixels` are bytes; `attributes` add to it, None removes."""
    stored = steps() if pixels is None else pixels
    ds = Dataset()
    ds.PatientName, ds.PatientID = NAME, "4711"
    ds.SOPClassUID, ds.Modality = CR, "CR"
    ds.SOPInstanceUID, ds.StudyInstanceUID = "1.2.3.4", "1.2.3"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    bits = 8 * stored.dtype.itemsize
    ds.BitsAllocated, ds.BitsStored = bits, min(bits, 12)
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(stored.dtype.kind == "i")
    ds.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes() + bytes(stored.nbytes % 2)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if attributes.get("BitsStored") and "HighBit" not in attributes:
        ds.HighBit = ds.BitsStored - 1
    return ds


def content(ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, preamble: bool = True, further: dict[str, object] | None = None) -> bytes:
    """Return the file of a data set; PixelData is written as it stands, or byte-swapped for big endian; `further`: file meta elements."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CR)
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    for keyword, value in (further or {}).items():
        setattr(ds.file_meta, keyword, value)
    if ds.file_meta.TransferSyntaxUID.is_little_endian is False and ds.BitsAllocated == 16:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW" if ds.get("BitsAllocated") == 16 and not ds.file_meta.TransferSyntaxUID.is_encapsulated else "OB"
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=preamble)
    return file.getvalue()


def bare(ds: Dataset, *, implicit: bool = True, little: bool = True) -> bytes:
    """Return the data set alone: no preamble, no file meta information."""
    file = io.BytesIO()
    if not little:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(file, implicit_vr=implicit, little_endian=little)
    return file.getvalue()


def encapsulated(codestream: bytes, **attributes: object) -> Dataset:
    """Return `steps()` as a radiograph whose pixels are this codestream."""
    ds = radiograph(**attributes)
    encode(ds, codestream)
    return ds


def encode(ds: Dataset, codestream: bytes) -> None:
    """Replace a data set's pixels by one codestream."""
    ds.PixelData = encapsulate([codestream + bytes(len(codestream) % 2)])
    ds["PixelData"].is_undefined_length = True


def codestream(syntax: str, pixels: NDArray[Any] | None = None) -> bytes:
    """Return `pixels`, by default `steps()`, in a lossless codestream of this transfer syntax."""
    stored = steps() if pixels is None else pixels
    bits = max(8, int(stored.max()).bit_length())
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        return imagecodecs.jpeg8_encode(stored, lossless=True, bitspersample=bits, predictor=1 if syntax == uid.JPEGLosslessSV1 else 4)
    if syntax == uid.JPEGLSLossless:
        return imagecodecs.jpegls_encode(stored)
    if syntax == uid.JPEG2000Lossless:
        return imagecodecs.jpeg2k_encode(stored, level=0, codecformat="j2k", reversible=True)
    return imagecodecs.htj2k_encode(stored, reversible=True)


def compressed(ds: Dataset, syntax: str) -> bytes:
    """Return the file of a data set, its pixels compressed without loss; signed ones by their bits, except in JPEG 2000."""
    if syntax == uid.RLELossless:
        content(ds)
        ds.compress(syntax, generate_instance_uid=False)
        file = io.BytesIO()
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()
    kind = "i" if ds.PixelRepresentation and syntax == uid.JPEG2000Lossless else "u"
    pixels = np.frombuffer(ds.PixelData, f"<{kind}{ds.BitsAllocated // 8}")[: ds.Rows * ds.Columns].reshape(ds.Rows, ds.Columns)
    encode(ds, codestream(syntax, pixels))
    return content(ds, syntax)


def lut(first: int, entries: list[int], bits: int) -> Dataset:
    """Return one item of a Modality or VOI LUT Sequence, its entries 16-bit words."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTData = np.array(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item
