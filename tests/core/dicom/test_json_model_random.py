"""Random data sets in every encoding: our DICOM JSON Model says what pydicom's says."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.dicom.json_model import dataset_json
from isocenter.core.dicom.json_model.places import locate
from isocenter.core.dicom.quiet import quiet_pydicom

_LETTERS = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\\^=")
_WORDS = st.text(_LETTERS, min_size=1, max_size=12)
_SIMPLE = st.text("ABCDEFGHIJ_ 0123456789", min_size=1, max_size=12).map(str.strip).filter(bool)


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, min_size=1, max_size=4)


#: Tag → (VR, values): public attributes, so that implicit VR says the same.
ATTRIBUTES: dict[int, tuple[str, st.SearchStrategy[Any]]] = {
    0x00080008: ("CS", _several(_SIMPLE)),
    0x00080020: ("DA", st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}")),
    0x00081010: ("SH", _WORDS),
    0x00081030: ("LO", _WORDS),
    0x00081070: ("PN", _several(st.lists(_WORDS, min_size=1, max_size=3).map("=".join))),
    0x00080119: ("UC", _several(_WORDS)),
    0x00081190: ("UR", st.just("http://host/path?query=1")),
    0x00102000: ("LO", _several(_WORDS)),
    0x00104000: ("LT", _WORDS),
    0x00181310: ("US", st.lists(st.integers(0, 65535), min_size=4, max_size=4)),
    0x00189602: ("FD", st.floats(allow_nan=False, allow_infinity=False)),
    0x00200013: ("IS", st.integers(-(1 << 31), (1 << 31) - 1)),
    0x00200032: ("DS", _several(st.integers(-(10**6), 10**6).map(lambda n: str(n / 1000)))),
    0x00209158: ("LT", _WORDS),
    0x00281052: ("DS", st.sampled_from(["1", "-1024", "1e-3", "0.5", "12.250"])),
    0x0040A160: ("UT", _WORDS),
    0x00420011: ("OB", st.binary(min_size=2, max_size=1500).map(lambda b: b[: len(b) // 2 * 2])),
    0x00660016: ("OF", st.binary(min_size=4, max_size=64).map(lambda b: b[: len(b) // 4 * 4])),
    0x00720069: ("OW", st.binary(min_size=2, max_size=20).map(lambda b: b[: len(b) // 2 * 2])),
    0x00720078: ("UL", _several(st.integers(0, (1 << 32) - 1))),
    0x00720026: ("AT", _several(st.integers(0x00080000, 0x7FFFFFFF))),
    0x00720076: ("FL", _several(st.floats(width=32, allow_nan=False, allow_infinity=False))),
    0x0072007A: ("US", _several(st.integers(0, 65535))),
    0x0072007C: ("SL", _several(st.integers(-(1 << 31), (1 << 31) - 1))),
    0x0072007E: ("SS", _several(st.integers(-(1 << 15), (1 << 15) - 1))),
    0x00720082: ("SV", _several(st.integers(-(1 << 50), 1 << 50))),
}
SEQUENCES = (0x00081140, 0x00400275, 0x0040A730)


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    dataset = Dataset()
    for tag in draw(st.lists(st.sampled_from(sorted(ATTRIBUTES)), unique=True, max_size=8)):
        vr, values = ATTRIBUTES[tag]
        dataset.add_new(tag, vr, draw(values | st.none()))
    for tag in draw(st.lists(st.sampled_from(SEQUENCES), unique=True, max_size=2 if depth else 0)):
        items = draw(st.lists(data_sets(depth=depth - 1), max_size=2))
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
        dataset.add_new(tag, "SQ", Sequence(items))
        dataset[tag].is_undefined_length = draw(st.booleans())
    return dataset


def _saved(dataset: Dataset, syntax: str) -> bytes:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.file_meta = meta
    with quiet_pydicom():
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _same(ours: dict[str, Any], dataset: Dataset, path: Path, where: str = "") -> None:
    expected = {f"{int(element.tag):08X}": element for element in dataset}
    assert list(ours) == sorted(expected)
    for tag, element in expected.items():
        found = ours[tag]
        assert found["vr"] == element.VR
        if element.VR == "SQ":
            items = found.get("Value", [])
            assert len(items) == len(element.value)
            for number, (item, other) in enumerate(zip(items, element.value, strict=True)):
                _same(item, other, path, f"{where}{tag}/{number}/")
        elif element.VR in ("OB", "OF", "OW"):
            if "BulkDataURI" in found:
                assert len(element.value) > 1024
                location = locate(path, found["BulkDataURI"])
                data = path.read_bytes()
                parts = [data[offset : offset + length] for offset, length in location.ranges]
                made = b"".join(parts if location.made is None else location.made.pieces())
            else:
                made = base64.b64decode(found.get("InlineBinary", ""))
            assert made == (element.value or b"")
        else:
            told = element.to_json_dict(None, 1 << 30).get("Value", [])
            told = [_bare(value) for value in told]
            values = [_bare(value) for value in found.get("Value", [])]
            assert values == ([] if told == [None] else told)


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {group: text for group, text in value.items() if text} or None
    return value or None if isinstance(value, str) else value


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ],
)
@settings(max_examples=40)
@given(dataset=data_sets())
def test_random_data_sets(syntax: str, dataset: Dataset) -> None:
    for tag in (0x00660016, 0x00720069):  # pydicom holds their bytes in the file's order
        if syntax == ExplicitVRBigEndian:
            _without(dataset, tag)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.dcm"
        path.write_bytes(_saved(dataset, syntax))
        document = dataset_json(path, bulk_uri="")
        assert document.damage == ""
        _same(json.loads(document.full), dataset, path)
        json.loads(document.plain)


def _without(dataset: Dataset, tag: int) -> None:
    if tag in dataset:
        del dataset[tag]
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            _without(item, tag)
