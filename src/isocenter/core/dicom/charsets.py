"""Decoding text by Specific Character Set (0008,0005), PS3.5 6.1 and PS3.3 C.12.1.1.2.

Character sets and escape sequences are pydicom's tables; the decoding is ours because it must not
warn, must not take any codec that Python happens to have from an attribute's value, and must give
text that a database can keep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: The character sets of most files, for which pydicom need not be imported.
PLAIN: dict[str, str] = {
    "": "iso8859",
    "ISO_IR 6": "iso8859",
    "ISO_IR 100": "latin_1",
    "ISO_IR 192": "UTF8",
}

_ESC = b"\x1b"
_DEFAULT = "iso8859"
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_DELIMITER = re.compile(rb"[\t\n\f\r\\^=]")
# Python's codecs for these read the escape sequences themselves.
_KEEP_ESCAPE = frozenset(("iso2022_jp", "iso2022_jp_2", "iso_ir_58"))
_PADDING = b"\0 "


@dataclass(frozen=True, slots=True)
class TextDecoder:
    """Decodes the text values of one data set.

    Attributes:
        encodings: Python codecs, that of value 1 first; the others come in by escape sequences.
    """

    encodings: tuple[str, ...]

    def decode(self, value: bytes) -> str:
        """Text without padding, NUL and lone surrogates; what cannot be decoded becomes U+FFFD."""
        return self.decode_whole(value.strip(_PADDING)).strip(" ")

    def decode_whole(self, value: bytes) -> str:
        """The same with the spaces at both ends, which count in long text (PS3.5 6.2: LT, UT)."""
        first = self.encodings[0]
        if _ESC not in value:
            text = value.decode(first, "replace")
        else:
            text = "".join(self._decode_fragment(part) for part in _FRAGMENT.findall(value))
        return text.replace("\0", "")

    def _decode_fragment(self, fragment: bytes) -> str:
        first = self.encodings[0]
        if not fragment.startswith(_ESC):
            return fragment.decode(first, "replace")
        length = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
        from pydicom.charset import CODES_TO_ENCODINGS

        encoding: str = CODES_TO_ENCODINGS.get(fragment[:length], "")
        if encoding != _DEFAULT and encoding not in self.encodings:
            return fragment[1:].decode(first, "replace")  # an escape that was not announced
        if encoding in _KEEP_ESCAPE:
            return fragment.decode(encoding, "replace")
        fragment = fragment[length:]
        delimiter = _DELIMITER.search(fragment)
        if delimiter is None:
            return fragment.decode(encoding, "replace")
        # A delimiter brings back the first character set (PS3.5 6.1.2.5.3).
        end = delimiter.start()
        return fragment[:end].decode(encoding, "replace") + fragment[end:].decode(first, "replace")


@lru_cache(maxsize=256)
def text_decoder(specific_character_set: bytes) -> TextDecoder:
    """The decoder for the raw value of (0008,0005); Latin 1 where it is empty or unknown."""
    terms = [term.strip() for term in specific_character_set.decode("latin-1").split("\\")]
    terms = [term.strip("\0 ") for term in terms]
    if len(terms) == 1 and terms[0] in PLAIN:
        return TextDecoder((PLAIN[terms[0]],))
    from pydicom.charset import STAND_ALONE_ENCODINGS

    encodings = [_encoding(term) for term in terms]
    if terms[0] in STAND_ALONE_ENCODINGS:
        return TextDecoder((encodings[0],))
    kept = [
        encoding
        for index, (term, encoding) in enumerate(zip(terms, encodings, strict=True))
        if index == 0 or term not in STAND_ALONE_ENCODINGS
    ]
    return TextDecoder(tuple(kept))


def _encoding(term: str) -> str:
    """Python's name of a character set; common misspellings of the defined terms are read too."""
    from pydicom.charset import python_encoding

    names: dict[str, str] = python_encoding
    if term in names:
        return names[term]
    if re.match(r"ISO[^_]IR", term):
        term = "ISO_IR" + term[6:]
    elif re.match(r"ISO.2022.IR.", term):
        term = "ISO 2022 IR " + term[12:]
    elif term.upper().replace("-", "").replace("_", "") == "UTF8":
        term = "ISO_IR 192"
    return names.get(term, _DEFAULT)
