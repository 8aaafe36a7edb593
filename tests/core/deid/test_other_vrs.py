"""Attributes that identify, written with another VR than PS3.6 gives them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import Context, deidentify_object
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.proof.verifier import verify
from isocenter.core.dicom.part10 import LONG_VRS, VRS
from isocenter.core.dicom.quiet import quiet_pydicom

Encode = Callable[..., bytes]
MakeContext = Callable[..., Context]

#: keyword, its value, and the same as it may stand elsewhere.
PLANTED = {
    "PatientName": ("Wolkenbruch^Zora", "for Wolkenbruch"),
    "PatientID": ("47118899", "for 47118899"),
    "AccessionNumber": ("ACC77801", "for ACC77801"),
    "StudyInstanceUID": ("1.2.3.4.5.6", "of 1.2.3.4.5.6"),
    "PatientBirthDate": ("19610203", "b. 03.02.1961"),
    "StudyDate": ("20240229", "29 Feb 2024"),
    "InstitutionName": ("Klinikum Musterstadt", "Klinikum Musterstadt"),
    "PatientBirthDateInAlternativeCalendar": ("1961-02-03", "b. 03.02.1961"),
}
_TYPES = {"PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDate"}


def element(tag: int, vr: str, value: bytes) -> bytes:
    """An explicit element, whatever its value."""
    value += b"\0" * (len(value) % 2) if vr in ("UI", "OB", "UN") else b" " * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr.encode() in LONG_VRS:
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def with_vr(encoded: bytes, keyword: str, vr: str) -> bytes:
    """A file in which an attribute has another VR."""
    tag, value = tag_for_keyword(keyword), PLANTED[keyword][0].encode()
    assert tag is not None
    old = element(tag, dictionary_VR(tag), value)
    assert encoded.count(old) == 1
    return encoded.replace(old, element(tag, vr, value))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dates", ["remove", "shift"])
@pytest.mark.parametrize("vr", sorted(vr.decode() for vr in VRS - {b"SQ"}))
@pytest.mark.parametrize("keyword", sorted(PLANTED))
def test_the_dictionary_says_what_an_attribute_means(
    keyword: str,
    vr: str,
    dates: str,
    ct: Dataset,
    encode: Encode,
    context: MakeContext,
    tmp_path: Path,
) -> None:
    value, said = PLANTED[keyword]
    for name in PLANTED:
        setattr(ct, name, PLANTED[name][0] if name == keyword else "")
    if keyword != "StudyInstanceUID":
        ct.StudyInstanceUID = "1.2.3.4.5.6.9"
    ct.Manufacturer = said
    old, new = tmp_path / "old.dcm", tmp_path / "new.dcm"
    old.write_bytes(with_vr(encode(ct), keyword, vr))
    policy = Policy(dates=dates)  # type: ignore[arg-type]
    identifiers = collect([old])
    assert verify([old], identifiers)
    result = deidentify_object(old, new, context(identifiers, policy), durable=False)
    assert result.refused is None
    written = new.read_bytes()
    assert said.encode() not in written
    assert value.encode() not in written
    with quiet_pydicom():
        out = pydicom.dcmread(new)
    if keyword in _TYPES:
        assert dictionary_VR(tag_for_keyword(keyword) or 0) == out[keyword].VR
    if keyword in ("PatientName", "PatientID"):
        assert str(out[keyword].value) == ("ANON^0001" if keyword == "PatientName" else "ANON0001")


@pytest.mark.filterwarnings("ignore")
def test_a_name_that_is_a_sequence_becomes_the_pseudonym(
    ct: Dataset, encode: Encode, context: MakeContext, tmp_path: Path
) -> None:
    for keyword in ("PatientName", "AccessionNumber"):
        encoded = encode(ct)
        tag = tag_for_keyword(keyword) or 0
        at = encoded.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
        length = struct.unpack_from("<H", encoded, at + 6)[0]
        inner = element(0x00081030, "LO", b"Wolkenbruch")
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        sequence = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, b"SQ", 0, 0xFFFFFFFF)
        sequence += item + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
        old, new = tmp_path / "old.dcm", tmp_path / "new.dcm"
        old.write_bytes(encoded[:at] + sequence + encoded[at + 8 + length :])
        deidentify_object(old, new, context(collect([old])), durable=False)
        out = pydicom.dcmread(new)
        assert dictionary_VR(tag) == out[keyword].VR
        assert str(out[keyword].value) == ("ANON^0001" if keyword == "PatientName" else "")


@pytest.mark.parametrize("day", ["١٣٦٧/١٢/١٠", "1367/12/10", "昭和23年2月29日"])
def test_a_birth_date_of_another_calendar_is_looked_for(
    day: str, ct: Dataset, encode: Encode, tmp_path: Path
) -> None:
    ct.PatientBirthDateInAlternativeCalendar = day
    ct.PatientComments = f"born {day}."
    path = tmp_path / "old.dcm"
    path.write_bytes(encode(ct))
    where = {finding.where for finding in verify([path], collect([path]))}
    assert "(0010,4000)" in where
