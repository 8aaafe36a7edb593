"""The answer to a store request: what is stored, what is not and why (PS3.18 10.5.3, annex I)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from django.http import HttpResponse

from isocenter.apps.archive.services import Deposited, Failure
from isocenter.apps.dicomweb.accept import XML
from isocenter.apps.dicomweb.addresses import place_of

_MODEL = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_CHARSET = '<?xml version="1.0" encoding="UTF-8"?>'
_KEYWORDS = {
    "00081150": "ReferencedSOPClassUID",
    "00081155": "ReferencedSOPInstanceUID",
    "00081190": "RetrieveURL",
    "00081196": "WarningReason",
    "00081197": "FailureReason",
    "00081198": "FailedSOPSequence",
    "00081199": "ReferencedSOPSequence",
    "0008119A": "OtherFailuresSequence",
}
_MOST_NOTES = 5

Attributes = dict[str, dict[str, Any]]


def answer_of(
    results: Sequence[Deposited], *, base_url: str, study_uid: str, media_type: str, is_paused: bool
) -> HttpResponse:
    """The response to a request whose body was whole.

    Args:
        study_uid: that the address names; empty: none.
        is_paused: reception was paused while it came.
    """
    content = document(results, base_url=base_url, study_uid=study_uid)
    body = _xml(content) if media_type == XML else json.dumps(content).encode()
    response = HttpResponse(
        body, status=_status(results, is_paused=is_paused), content_type=media_type
    )
    if notes := _notes(results):
        response.headers["Warning"] = f'299 isocenter "{notes}"'
    return response


def document(results: Sequence[Deposited], *, base_url: str, study_uid: str) -> Attributes:
    """The Store Instances Response Module (PS3.18 table I.1-1) as DICOM JSON."""
    stored = [each for each in results if each.failure is None]
    failed = [each for each in results if each.failure is not None]
    named = [each for each in failed if each.sop_class_uid and each.sop_instance_uid]
    nameless = [each for each in failed if not (each.sop_class_uid and each.sop_instance_uid)]
    studies = {each.study_uid for each in stored} or ({study_uid} - {""})
    found: Attributes = {}
    if len(studies) == 1:
        found["00081190"] = _value("UR", place_of(base_url, studies.pop()))
    if named:
        found["00081198"] = _value("SQ", *(_reference(each) | _reason(each) for each in named))
    if stored:
        found["00081199"] = _value(
            "SQ", *(_reference(each) | _place(each, base_url) | _warning(each) for each in stored)
        )
    if nameless:
        found["0008119A"] = _value("SQ", *map(_reason, nameless))
    return found


def _status(results: Sequence[Deposited], *, is_paused: bool) -> int:
    failures = [each.failure for each in results if each.failure is not None]
    if not failures:
        return 202 if any(each.warning for each in results) else 200
    if len(failures) < len(results):
        return 202
    if all(failure is Failure.OUT_OF_RESOURCES for failure in failures):
        return 503 if is_paused else 507
    return 409


def _reference(each: Deposited) -> Attributes:
    return {
        "00081150": _value("UI", each.sop_class_uid),
        "00081155": _value("UI", each.sop_instance_uid),
    }


def _place(each: Deposited, base_url: str) -> Attributes:
    place = place_of(base_url, each.study_uid, each.series_uid, each.sop_instance_uid)
    return {"00081190": _value("UR", place)}


def _warning(each: Deposited) -> Attributes:
    return {"00081196": _value("US", each.warning)} if each.warning else {}


def _reason(each: Deposited) -> Attributes:
    return {"00081197": _value("US", int(each.failure or 0))}


def _value(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def _notes(results: Sequence[Deposited]) -> str:
    """Why instances failed, and what is odd about others: for people, in the header Warning
    (PS3.18 10.5.3.2)."""
    counts = Counter(each.note for each in results if each.note)
    texts = [f"{count} x {note}" for note, count in counts.most_common(_MOST_NOTES)]
    return re.sub(r"[^ !#-\[\]-~]", "?", "; ".join(texts))[:1000]


def _xml(content: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The same as a Native DICOM Model (PS3.19 A.1)."""
    inner = _elements(content)
    return f'{_CHARSET}<NativeDicomModel xmlns="{_MODEL}">{inner}</NativeDicomModel>'.encode()


def _elements(content: Mapping[str, Mapping[str, Any]]) -> str:
    found = []
    for tag in sorted(content):
        vr = content[tag]["vr"]
        items = []
        for number, value in enumerate(content[tag]["Value"], 1):
            if vr == "SQ":
                items.append(f'<Item number="{number}">{_elements(value)}</Item>')
            else:
                items.append(f'<Value number="{number}">{escape(str(value))}</Value>')
        attributes = f'tag="{tag}" vr="{vr}" keyword={quoteattr(_KEYWORDS[tag])}'
        found.append(f"<DicomAttribute {attributes}>{''.join(items)}</DicomAttribute>")
    return "".join(found)
