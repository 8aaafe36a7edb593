"""Writes texts in JIS X 0201 (ISO_IR 13), which mixes letters and katakana in one value.

pydicom writes question marks for a value with letters of both halves of the set. So each text is
turned into the Latin-1 text with the same bytes, written as such, and the name of the character
set is put right in the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})


def as_latin(dataset: Dataset) -> None:
    """Turn the texts of a data set, nested ones too."""
    for tag in list(dataset.keys()):
        if isinstance(dataset.get_item(tag), RawDataElement):
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                as_latin(item)
        elif element.VR in _TEXT and element.value:
            element.value = _latin(element.value)
    if "SpecificCharacterSet" in dataset:
        dataset.SpecificCharacterSet = "ISO_IR 100"


def _latin(value: Any) -> Any:
    if hasattr(value, "append"):
        return [_latin(part) for part in value]
    return str(value).encode("shift_jis").decode("latin-1")


def put_right(path: Path) -> None:
    """Give a written file the character set that its bytes are in."""
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 13 "))
