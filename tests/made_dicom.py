"""Made DICOM radiographs: what the tests write, and codestreams that no kept package can encode."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
NAME = "DOE^JANE"
"""A patient's name that stands in every made file, and in no message."""


def steps() -> NDArray[np.uint16]:
    """Return (32, 40) of 12 bits: the picture in the codestreams below."""
    y, x = np.mgrid[:32, :40]
    return ((x // 8) * 900 + (y // 8) * 150).astype("<u2")


# `steps()`, encoded by OpenJPH 0.26.3 (lossless, then lossy) and by libjpeg-turbo 3.1.3 (12 bits, quality 95).
HTJ2K_LOSSLESS = base64.b64decode(
    "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3Bl"
    "bkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAjsAAf+TwAAqAPEBzeUFgXQAwAASwAATgDEBh3QAgAL6AII0AMAAFRAABWjd7sfHAIG0ACNaI7RGtP4AIQN+tgDAABdDAABbgJ8/"
    "H3XUqFGjRmlrf/581FGjRo0apV37B3rLjB8QgDG6AJl35p15Z96Z9+t8O6/zOq/zAH/6y4gvAADQuwDAABewQAAXpgDz57txM3++Gzfz57txM3++686f78bN/Plu3Myf78bN"
    "/Plu3Myf78bN/Plu3Myf78bN/Plu3Myf78bN/Plu3Myf78bN/Plu3PwDs47OTuzjs5O7OOzk4QfEIBZYQgFieAGnp9PpdDqdTifJSXKSnCQnyUlykpwkJ8lJcpKcJCfJSXKS"
    "nCQnyUlykpwkJ4lEIpFIJBKJ5AWtazoOCDgx4OCDgxxCkAAKaQAAp1cBwAAveIAAXvCDBw8ePHjw4MGDBw8ePHjw4MGDBw8ePHjw4MGDBw8ePHjw4MGDBw8ePHjw4MGDBw8e"
    "PHjw4MGDBw8ePHjw4MGDBw8ePHjw4MGH+AU5TlOU5TlOU5TlOU5TlOU5TlOU5TlOU5TlOU5TlOU5TlOU4IC4IC4IC4ICcAOVlUqlUqlUKpVKpVKpVCqVSqWyUqlUKpVKpVKp"
    "VCqVSqVSqVRWKpVKpVKpVCqVSqVSqVQqlfyHgAAAhAe/YhAe/YhAe/YhAe/YhAeywAAAQgPfsQgPfsQgPfsQgPfsQgPZYAAAIQHv2IQHv2IQHv2IQHv2IQHsswT/2Q=="
)
HTJ2K_LOSSY = base64.b64decode(
    "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAAJP9SAAwAAgABAAUEBEAA/1wAIyKHdIdFh0WHF39cf1x/PXeqd6p3wmA1YDVg"
    "eFgaWBpnv/9kABcAAU9wZW5KUEggVmVyIDAuMjYuMy7/kAAKAAAAAAFNAAH/k8AAVAC/gsL8BQF0AMAASwABKMsAh3QAAAEBdADAAJ4ABUiE9P4AArQAgwxkkACTfrUAwAFq"
    "QAFY46j13hDcx6j13hC8Ozg+HyRZmABVVdVVX/6y8vrQuADABdxABa4Au0S7RLtE3QDsEu0S7RJ1iwDsEu0S7RJ1iwDsEu0S7RJ1i/wAdnHZxLs47OJdnHZxM/Sy1LK0Af9/"
    "/3//f2AAGnpp6bdPTT026emnp1EBwAvYYAXVAEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtEALtIfgSUkpJSSJKSUkpJElJKSUkiSklJKS"
    "RJSSklJIkpJSSkkSUkpJSSkiuSK5IrkisQP/f/9//3//f/yHgAAADrrrrrrrrqQAAB111111111IAAA666666666kgL/2Q=="
)
EXTENDED = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/wQALDAAgACgB"
    "AREA/8QAFQABAQAAAAAAAAAAAAAAAAAADA7/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/AJ//ADhA4QOEDhBFC5wgcIHCBwgihc4QOEDhA4QRQucIHCBwgcIP/9k="
)


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


def content(ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, preamble: bool = True) -> bytes:
    """Return the file of a data set; PixelData is written as it stands, or byte-swapped for big endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CR)
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    if ds.file_meta.TransferSyntaxUID.is_little_endian is False and ds.BitsAllocated == 16:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 and not ds.file_meta.TransferSyntaxUID.is_encapsulated else "OB"
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
    ds.PixelData = encapsulate([codestream + bytes(len(codestream) % 2)])
    ds["PixelData"].is_undefined_length = True
    return ds


def compressed(ds: Dataset, syntax: str) -> bytes:
    """Return the file of a data set that pydicom compresses: RLE, JPEG-LS or JPEG 2000."""
    content(ds)
    ds.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def transcoded(ds: Dataset, kind: int, folder: Path) -> bytes:
    """Return the file of a data set that GDCM compresses: JPEG Lossless."""
    import gdcm

    before, after = folder / "before.dcm", folder / "after.dcm"
    before.write_bytes(content(ds))
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(before))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(after))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return after.read_bytes()


def lut(first: int, entries: list[int], bits: int) -> Dataset:
    """Return one item of a Modality or VOI LUT Sequence, its entries 16-bit words."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTData = np.array(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item
