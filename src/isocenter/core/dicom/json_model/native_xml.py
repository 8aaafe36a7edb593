"""The Native DICOM Model (PS3.19 A.1) of what the DICOM JSON Model says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from isocenter.core.dicom.json_model.dictionary import keyword_of

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'
    ' xml:space="preserve">'
)
_TAIL = "</NativeDicomModel>"
# What XML 1.0 cannot hold in any way.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def native_xml(dataset: Mapping[str, Any]) -> bytes:
    """A data set as an XML document in UTF-8.

    Args:
        dataset: a DICOM JSON Model object (PS3.18 F.2).

    Characters that XML cannot hold become U+FFFD. NaN and infinities are written as XML Schema
    writes them: ``NaN``, ``INF``, ``-INF``.
    """
    pieces = [_HEAD]
    creators: dict[tuple[str, str], str] = {}
    _attributes(dataset, pieces, creators)
    pieces.append(_TAIL)
    return "".join(pieces).encode("utf-8")


def _attributes(
    dataset: Mapping[str, Any], pieces: list[str], creators: dict[tuple[str, str], str]
) -> None:
    for tag, attribute in dataset.items():
        vr = attribute["vr"]
        pieces.append(f'<DicomAttribute tag="{_shown_tag(tag, creators)}" vr="{vr}"')
        if int(tag[:4], 16) & 1:
            if creator := creators.get((tag[:4], tag[4:6])):
                pieces.append(f" privateCreator={quoteattr(_clean(creator))}")
            if tag[4:6] == "00":
                name = next(iter(attribute.get("Value", ())), None)
                if isinstance(name, str):
                    creators[tag[:4], tag[6:]] = name
        elif keyword := keyword_of(int(tag, 16)):
            pieces.append(f' keyword="{keyword}"')
        pieces.append(">")
        _content(attribute, pieces)
        pieces.append("</DicomAttribute>")


def _shown_tag(tag: str, creators: Mapping[tuple[str, str], str]) -> str:
    """Of a private attribute with a creator the block number says nothing (PS3.19 A.1.5)."""
    if int(tag[:4], 16) & 1 and (tag[:4], tag[4:6]) in creators:
        return f"{tag[:4]}00{tag[6:]}"
    return tag


def _content(attribute: Mapping[str, Any], pieces: list[str]) -> None:
    if "BulkDataURI" in attribute:
        pieces.append(f"<BulkData uri={quoteattr(_clean(attribute['BulkDataURI']))}/>")
    elif "InlineBinary" in attribute:
        pieces.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
    else:
        vr = attribute["vr"]
        for number, value in enumerate(attribute.get("Value", ()), start=1):
            _value(vr, number, value, pieces)


def _value(vr: str, number: int, value: Any, pieces: list[str]) -> None:
    if vr == "SQ":
        pieces.append(f'<Item number="{number}">')
        _attributes(value, pieces, {})
        pieces.append("</Item>")
    elif vr == "PN":
        pieces.append(f'<PersonName number="{number}">')
        for group in _GROUPS:
            if value and group in value:
                _name_group(group, value[group], pieces)
        pieces.append("</PersonName>")
    else:
        pieces.append(f'<Value number="{number}">{_text(vr, value)}</Value>')


def _name_group(group: str, text: str, pieces: list[str]) -> None:
    pieces.append(f"<{group}>")
    for component, part in zip(_COMPONENTS, text.split("^"), strict=False):
        if part:
            pieces.append(f"<{component}>{escape(_clean(part))}</{component}>")
    pieces.append(f"</{group}>")


def _text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if vr in ("FL", "FD") and isinstance(value, str):
        return {"Infinity": "INF", "-Infinity": "-INF"}.get(value, value)
    return escape(_clean(value)) if isinstance(value, str) else str(value)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
