"""What metadata in DICOM JSON may say (PS3.18 annex F), before an instance is made of it.

pydicom reads it generously: of base64 it leaves out what is none, so that other bytes come of it
than were sent. Here such an instance is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset

from isocenter.core.errors import DataSetError

_MAX_DEPTH = 32
_MAX_ELEMENTS = 1_000_000
_VALUE_KEYS = ("Value", "BulkDataURI", "InlineBinary")
# pydicom writes the last one where it has not decided.
_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})


def check_described(instance: Any) -> None:
    """Bounds on nesting and number of elements, and every inline value; without recursion.

    Raises:
        DataSetError: it is no data set, too much of one, or a value of it is broken.
    """
    waiting = [(instance, 0)]
    count = 0
    while waiting:
        dataset, depth = waiting.pop()
        if not isinstance(dataset, dict):
            raise DataSetError("a data set of the metadata is no object")
        if depth > _MAX_DEPTH:
            raise DataSetError(f"sequences nest deeper than {_MAX_DEPTH}")
        for tag, element in dataset.items():
            count += 1
            if not isinstance(element, dict) or count > _MAX_ELEMENTS:
                raise DataSetError("an element of the metadata is no object, or there are too many")
            _check_element(tag, element)
            values = element.get("Value", [])
            if element.get("vr") == "SQ" and isinstance(values, list):
                waiting += [(value, depth + 1) for value in values if value is not None]


def number_of(dataset: Dataset, keyword: str, default: int) -> int:
    """The value of an attribute that is one whole number; the default where it has none.

    Raises:
        DataSetError: it is no number.
    """
    try:
        return int(dataset.get(keyword) or default)
    except (TypeError, ValueError):
        raise DataSetError(f"{keyword} is no number") from None


def check_native_length(dataset: Dataset, length: int) -> None:
    """Whether uncompressed Pixel Data is as long as its description says, or longer.

    Raises:
        DataSetError: it is shorter, so something is lacking.
    """
    names = ("Rows", "Columns", "BitsAllocated")
    rows, columns, bits = (number_of(dataset, name, 0) for name in names)
    samples = number_of(dataset, "SamplesPerPixel", 1)
    needed = rows * columns * bits * samples * number_of(dataset, "NumberOfFrames", 1)
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":  # two chroma for two pixels
        needed = needed * 2 // 3
    if length < (needed + 7) // 8:
        raise DataSetError(
            f"Pixel Data has {length} bytes; its description needs {(needed + 7) // 8}"
        )


def _check_element(tag: str, element: Mapping[str, Any]) -> None:
    if sum(key in element for key in _VALUE_KEYS) > 1:
        raise DataSetError(f"{_shown(tag)} has several of {', '.join(_VALUE_KEYS)}")
    if "InlineBinary" not in element:
        return
    if element.get("vr") not in _BINARY_VRS:
        raise DataSetError(f"{_shown(tag)} has InlineBinary, and no VR for it")
    text = element["InlineBinary"]
    if isinstance(text, list) and len(text) == 1:  # as in the example of PS3.18 F.4
        text = text[0]
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError):
        raise DataSetError(f"the InlineBinary of {_shown(tag)} is no base64") from None


def _shown(tag: str) -> str:
    """A tag that a stranger wrote, fit for a sentence."""
    return tag[:8] if tag.isascii() and tag.isalnum() else "an element"
