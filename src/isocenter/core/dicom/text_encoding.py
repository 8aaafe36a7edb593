"""Encoding text by Specific Character Set (0008,0005), PS3.5 6.1 and PS3.3 C.12.1.1.2.

The other way of :mod:`.charsets`. A peer is answered in the character set that it asked in, where
that can hold the text; whether it can is found by decoding what was encoded.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache

from isocenter.core.dicom.charsets import text_decoder

UTF_8 = "ISO_IR 192"
_DEFAULT_REPERTOIRES = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))
# What pydicom reads and no standard names.
_MISSPELT = frozenset(("ISO 2022 GBK", "ISO 2022 58"))
_OF_TWO_BYTES = frozenset(
    ("ISO 2022 IR 58", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 159")
)
_DELIMITERS = re.compile(r"([\\^=\r\n\f\t])")
_CONTROLS = re.compile("[\x80-\x9f]")  # C1, which no character set of DICOM has (PS3.5 6.1.3)
_MAX_TERMS = 16
# Japanese sets of two bytes take ASCII's place, which has to be brought back (PS3.5 6.1.2.5.3).
_OF_G0 = (b"\x1b$B", b"\x1b$@", b"\x1b$(D")
_TO_ASCII = b"\x1b(B"
# Python's codec for ISO_IR 13 has kanji of two bytes besides, which ISO_IR 13 has not.
_JIS_X_0201 = "shift_jis"
_LATIN_1 = "iso8859"  # pydicom reads the default repertoire so, to be kind


def encode_text(text: str, character_set: str) -> bytes | None:
    """Text in a character set; None where that cannot hold it, or is not known.

    Args:
        character_set: value of (0008,0005), several terms separated by a backslash.
    """
    if text.isascii():
        return text.encode("ascii")
    if character_set.strip() in _DEFAULT_REPERTOIRES or _CONTROLS.search(text):
        return None
    codecs = _codecs(character_set)
    if not codecs:
        return None
    try:
        encoded = _with_extensions(text, codecs) if len(codecs) > 1 else _plain(text, codecs[0])
    except (UnicodeError, LookupError, ValueError):
        return None
    decoded = text_decoder(character_set.encode("latin-1", "replace")).decode(encoded)
    return encoded if decoded == text.strip(" ") else None


def common_character_set(texts: Sequence[str], wanted: str) -> str:
    """The character set of a data set with these texts: the wanted one, or UTF-8.

    What is ASCII alone needs none; the wanted one is named then, where it is known. A set of two
    bytes that stands first, where it must not, gets the default repertoire before it.
    """
    if wanted.split("\\", maxsplit=1)[0].strip() in _OF_TWO_BYTES:
        wanted = f"\\{wanted}"
    if all(encode_text(text, wanted) is not None for text in texts):
        return wanted if wanted.strip() in _DEFAULT_REPERTOIRES or _codecs(wanted) else ""
    return UTF_8


def _with_extensions(text: str, codecs: Sequence[str]) -> bytes:
    """With escape sequences; delimiters bring the first character set back (PS3.5 6.1.2.5.3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom warns, and writes question marks
        try:
            return b"".join(
                part.encode("ascii")
                if part.isascii()
                else _in_first(part, codecs[0]) or _escaped(part, codecs)
                for part in _DELIMITERS.split(text)
            )
        except UserWarning as error:
            raise ValueError(str(error)) from None


def _escaped(part: str, codecs: Sequence[str]) -> bytes:
    from pydicom.charset import encode_string

    encoded: bytes = encode_string(part, list(codecs))
    is_in_g0 = any(escape in encoded for escape in _OF_G0)
    if is_in_g0 and codecs[0] == "ascii" and not encoded.endswith(_TO_ASCII):
        encoded += _TO_ASCII
    return encoded


def _plain(text: str, codec: str) -> bytes:
    """By one codec, without escape sequences.

    Raises:
        UnicodeError: it has not all of the letters.
    """
    encoded = text.encode(codec)
    if codec == _JIS_X_0201 and len(encoded) != len(text):
        raise UnicodeError("a letter of two bytes")
    return encoded


def _in_first(text: str, codec: str) -> bytes | None:
    """In the first character set where that is of single bytes and needs no escape sequence."""
    try:
        return _plain(text, codec)
    except UnicodeError:
        return None


@lru_cache(maxsize=256)
def _codecs(character_set: str) -> tuple[str, ...]:
    """Python's codecs of known terms; empty where one is not known."""
    from pydicom.charset import STAND_ALONE_ENCODINGS, python_encoding

    terms = [term.strip() for term in character_set.split("\\")]
    known = python_encoding.keys() - _MISSPELT
    if len(terms) > _MAX_TERMS or any(term not in known for term in terms):
        return ()
    if terms[0] in _OF_TWO_BYTES:  # never the first by the standard, often in practice
        terms.insert(0, "")
    if terms[0] in STAND_ALONE_ENCODINGS:
        return (str(python_encoding[terms[0]]),)
    codecs = [str(python_encoding[term]) for term in terms]
    if codecs[0] == _LATIN_1:  # of the default repertoire, which is ASCII
        codecs[0] = "ascii"
    return tuple(codecs)
