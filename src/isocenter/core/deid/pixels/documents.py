"""Encapsulated documents (PS3.3 C.24): refused, dropped or, where nothing can hide in it, kept.

A PDF or a CDA document is a report with the patient's name on it and is not cleaned here. A model
(STL, OBJ) is triangles; its header, comments and names are text, and it may leave when they hold
nothing but what modelling programs write.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from isocenter.core.deid.policy import Documents

_STORAGE = "1.2.840.10008.5.1.4.1.1.104."
#: SOP classes of encapsulated documents, and what they hold.
DOCUMENTS = {
    _STORAGE + "1": "PDF",
    _STORAGE + "2": "CDA",
    _STORAGE + "3": "STL",
    _STORAGE + "4": "OBJ",
    _STORAGE + "5": "MTL",
}
_STL_HEADER = 80  # bytes
_STL_TRIANGLE = 50
_ASCII_STL_LINE = re.compile(
    rb"\s*(?:facet normal(?:\s+[-+.\deE]+){3}|outer loop|vertex(?:\s+[-+.\deE]+){3}|endloop"
    rb"|endfacet|(?:end)?solid(?:\s+[a-z]{0,12})?)?\s*"
)
_OBJ_LINE = re.compile(
    rb"\s*(?:(?:v|vn|vt|vp)(?:\s+[-+.\deE]+){1,7}|f(?:\s+-?\d+(?:/-?\d*){0,2})+|s\s+(?:off|\d+)"
    rb"|g|o|l(?:\s+-?\d+)+|p(?:\s+-?\d+)+)?\s*"
)
#: Words that programs write into the header of a binary STL.
_PROGRAM_WORDS = frozenset(
    (
        *("binary", "stl", "file", "solid", "exported", "from", "by", "with", "ascii", "model"),
        *("mesh", "visualization", "toolkit", "vtk", "generated", "written", "paraview", "blender"),
        *("itk", "meshlab", "numpy", "trimesh", "gmsh", "openscad", "slicer", "color"),
        *("isocenter", "space", "lps", "ras", "unit", "mm"),
    )
)
_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class DocumentInspector:
    """Says of an encapsulated document whether it may leave (engine's ``DocumentHandler``).

    Attributes:
        documents: of the policy. Both ways the document does not leave; ``drop`` says that the
            rest of the study may go without it (:func:`is_dropped`).
    """

    documents: Documents = "refuse"

    def refuses(self, sop_class_uid: str, mime_type: str, document: bytes) -> str | None:
        """Why this document must not leave; None if it may, as it is.

        Args:
            sop_class_uid: of the object.
            mime_type: MIMETypeOfEncapsulatedDocument.
            document: the value of EncapsulatedDocument; a padding byte at its end counts as no
                part of it.
        """
        kind = DOCUMENTS.get(sop_class_uid) or mime_type.rpartition("/")[2].upper()
        if kind == "STL":
            return _stl_says(document)
        if kind == "OBJ":
            return _obj_says(document)
        return f"an encapsulated {kind or 'document'} cannot be cleaned"


def is_dropped(sop_class_uid: str, documents: Documents) -> bool:
    """Whether a refused object is one that the policy leaves out without holding the study."""
    return documents == "drop" and sop_class_uid in DOCUMENTS


def _stl_says(document: bytes) -> str | None:
    if _is_binary_stl(document):
        header = document[:_STL_HEADER].decode("latin-1")
        words = {word.lower() for word in _WORD.findall(header.replace("\0", " "))}
        unknown = {word for word in words - _PROGRAM_WORDS if len(word) > 2 or word.isdigit()}
        if unknown:
            return "the header of an STL model has text that may identify somebody"
        (count,) = struct.unpack_from("<L", document, _STL_HEADER)
        attributes = document[_STL_HEADER + 4 + 48 : _STL_HEADER + 4 + count * _STL_TRIANGLE]
        if any(attributes[0::_STL_TRIANGLE]) or any(attributes[1::_STL_TRIANGLE]):
            return "an STL model has attribute bytes that nobody knows the meaning of"
        return None
    if document.lstrip()[:5] != b"solid":
        return "an STL model is neither binary nor text"
    lines = document.rstrip(b"\0 ").splitlines()
    if all(_ASCII_STL_LINE.fullmatch(line) for line in lines):
        return _solid_says(lines)
    return "an STL model has text that is no part of its shape"


def _solid_says(lines: list[bytes]) -> str | None:
    for line in lines:
        name = line.strip().removeprefix(b"end").removeprefix(b"solid").strip()
        is_named = line.strip().startswith((b"solid", b"endsolid")) and bool(name)
        if is_named and name.decode("latin-1").lower() not in _PROGRAM_WORDS:
            return "an STL model has a name that may identify somebody"
    return None


def _is_binary_stl(document: bytes) -> bool:
    if len(document) < _STL_HEADER + 4:
        return False
    (count,) = struct.unpack_from("<L", document, _STL_HEADER)
    length = _STL_HEADER + 4 + int(count) * _STL_TRIANGLE
    return len(document) - length in (0, 1) and not any(document[length:])


def _obj_says(document: bytes) -> str | None:
    if all(_OBJ_LINE.fullmatch(line) for line in document.rstrip(b"\0 ").splitlines()):
        return None
    return "an OBJ model has names, comments or materials that may identify somebody"
