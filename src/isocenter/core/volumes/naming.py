"""File names from names that people gave to structures."""

from __future__ import annotations

import re
import unicodedata

# Characters that some file system or shell refuses, and control characters.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*]+')
_INVISIBLE = {"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}
MAX_BYTES = 120


class FileNames:
    """Gives each structure of one folder a file name stem of its own.

    Letters of any script are kept (NFC); what a file system might refuse becomes ``_``. Two names
    that differ only in case, or only in what was replaced, get a number at the end, because some
    file systems take them for the same.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def stem(self, name: str, fallback: str) -> str:
        """A stem for ``name``; ``fallback`` is used when nothing is left of it."""
        wanted = safe_stem(name) or safe_stem(fallback) or "unnamed"
        stem, number = wanted, 2
        while stem.casefold() in self._taken:
            stem = f"{_shortened(wanted, MAX_BYTES - 6)}_{number}"
            number += 1
        self._taken.add(stem.casefold())
        return stem


def safe_stem(name: str) -> str:
    """``name`` as a file name stem, at most 120 bytes of UTF-8; may be empty."""
    text = unicodedata.normalize("NFC", name)
    text = _FORBIDDEN.sub("_", text)
    text = "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE)
    text = re.sub(r"\s+", " ", text).strip(" .")
    text = _shortened(text, MAX_BYTES).strip(" .")
    if text.split(".")[0].casefold() in _RESERVED:
        text = f"_{text}"
    # "-name" would be taken for an option by every command line tool.
    return f"_{text[1:]}" if text.startswith("-") else text


def _shortened(text: str, limit: int) -> str:
    return text.encode("utf-8")[:limit].decode("utf-8", "ignore")
