"""What metadata in DICOM JSON may say (PS3.18 annex F), before an instance is made of it.

pydicom reads it generously: of base64 it leaves out what is none, so that other bytes come of it
than were sent. Here such an instance is refused. Nothing in it has to be of the type it should be.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag

from isocenter.core.dicom.described_values import (
    check_values,
    check_words,
    is_binary,
    is_vr,
)
from isocenter.core.errors import DataSetError

_MAX_DEPTH = 32
_MAX_ELEMENTS = 1_000_000
_VALUE_KEYS = ("Value", "BulkDataURI", "InlineBinary")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


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
            if tag != tag.upper() and tag.upper() in dataset:
                raise DataSetError(f"{_shown(tag)} comes twice")
            _check_element(tag, element)
            values = element.get("Value", [])
            if element.get("vr") == "SQ" and isinstance(values, list):
                waiting += [(value, depth + 1) for value in values if value is not None]


def named(tag: str) -> str:
    """A tag of eight digits with the keyword of its attribute, for a reason."""
    return f"{tag} {keyword_for_tag(tag)}".rstrip()


def _check_element(tag: str, element: Mapping[str, Any]) -> None:
    if not _TAG.fullmatch(tag):
        raise DataSetError(f"{_shown(tag)} is no tag of eight digits")
    vr = element.get("vr")
    if not is_vr(vr):
        raise DataSetError(f"{named(tag)} has no VR that is known")
    if sum(key in element for key in _VALUE_KEYS) > 1:
        raise DataSetError(f"{tag} has several of {', '.join(_VALUE_KEYS)}")
    if "Value" in element:
        check_values(named(tag), vr, element["Value"])
    if "InlineBinary" in element:
        _check_inline(tag, vr, element["InlineBinary"])


def _check_inline(tag: str, vr: str, text: Any) -> None:
    if not is_binary(vr):
        raise DataSetError(f"{tag} has InlineBinary, and no VR for it")
    if isinstance(text, list) and len(text) == 1:  # as in the example of PS3.18 F.4
        text = text[0]
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError):
        raise DataSetError(f"the InlineBinary of {tag} is no base64") from None
    check_words(named(tag), vr, len(content))


def _shown(tag: str) -> str:
    """A tag that a stranger wrote, fit for a sentence."""
    return tag[:8] if tag.isascii() and tag.isalnum() else "an element"
