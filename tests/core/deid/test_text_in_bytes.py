"""Names in values of numbers: palettes and indices; what is numbers stays."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import ObjectResult
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.proof.verifier import verify

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
Encode = Callable[..., bytes]

PLACES = [(0x00660040, "OL"), (0x00660016, "OF"), (0x00281201, "OW"), (0x00660129, "OL")]


@pytest.mark.parametrize(("tag", "vr"), PLACES)
@pytest.mark.parametrize(
    "said",
    [
        b"Zebede  ",
        b"Zebede^Quix ",
        b"of Wolkenbruch, Zebede  ",
        "Zebede  ".encode("utf-16-le"),
        b"Zebede".ljust(512, b"\0"),
    ],
)
def test_names_in_numbers_go(
    tag: int,
    vr: str,
    said: bytes,
    ct: Dataset,
    deidentify: Deidentify,
    encode: Encode,
    tmp_path: Path,
) -> None:
    ct.PatientName = "Zebede^Quix"
    ct.add_new(tag, vr, said)
    path = tmp_path / "original.dcm"
    path.write_bytes(encode(ct))
    where = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    assert where in {found.where for found in verify([path], collect([path]))}
    _, result = deidentify(ct)
    assert result.refused is None
    assert b"ebede" not in (tmp_path / "new.dcm").read_bytes().replace(b"\0", b"")
    assert verify([tmp_path / "new.dcm"], collect([path])) == []


@pytest.mark.parametrize(("tag", "vr"), PLACES)
def test_numbers_stay(tag: int, vr: str, ct: Dataset, deidentify: Deidentify) -> None:
    ct.PatientName, ct.PatientID = "ABCD^EFGH^IJKL", "12345678"
    rnd = random.Random(4)
    ramp = struct.pack("<256H", *(257 * number for number in range(256)))
    plain = bytes(range(256))
    floats = struct.pack("<300f", *(rnd.uniform(-500, 500) for _ in range(300)))
    indices = struct.pack("<300L", *range(300))
    for value in (ramp, plain, floats, indices, rnd.randbytes(4096)):
        ct.add_new(tag, vr, value)
        new, _ = deidentify(ct)
        assert new[tag].value == value
