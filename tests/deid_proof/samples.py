"""Digest of an image's samples, whatever the transfer syntax."""

from __future__ import annotations

import hashlib

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian


def native(dataset: Dataset) -> bytes:
    """Pixel Data as it stands in Explicit VR Little Endian, without padding."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        return np.ascontiguousarray(dataset.pixel_array).tobytes()
    data = bytes(dataset.PixelData)
    if syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
        data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
    bits = (
        int(dataset.Rows)
        * int(dataset.Columns)
        * int(dataset.SamplesPerPixel)
        * int(dataset.get("NumberOfFrames") or 1)
        * int(dataset.BitsAllocated)
    )
    return data[: (bits + 7) // 8]


def digest(dataset: Dataset) -> str:
    """MD5 of the samples, as the answer database has it."""
    return hashlib.md5(native(dataset), usedforsecurity=False).hexdigest()
