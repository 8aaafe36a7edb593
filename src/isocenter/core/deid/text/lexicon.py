"""Words of radiology: what a text may keep when everything in doubt goes.

``data/lexicon.txt`` is made by ``scripts/deid_lexicon.py``, which names its sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

# Letters and digits of a protocol: T2, B30f, L4, 18F, Br38. At most two letters before digits;
# with three or more digits it could be anybody's number.
_CODE = re.compile(r"(?:[a-z]{1,2}[0-9]{1,2}[a-z]{0,2}|[0-9]{1,3}[a-z]{1,2})")


class Lexicon:
    """Folded words (see :func:`~isocenter.core.deid.text.matching.fold`) that identify nobody."""

    def __init__(self, words: Iterable[str], joinable: Iterable[str] = ()) -> None:
        self._words = frozenset(words)
        self._joinable = frozenset(joinable)

    @staticmethod
    @cache
    def load() -> Lexicon:
        """The one that is shipped."""
        text = files("isocenter.core.deid").joinpath("data/lexicon.txt").read_text("utf-8")
        words = text.split()
        return Lexicon(
            (word.rstrip("+") for word in words),
            (word[:-1] for word in words if word.endswith("+")),
        )

    def extended(self, words: Iterable[str]) -> Lexicon:
        """The same with a site's own words, already folded."""
        return Lexicon(self._words.union(words), self._joinable)

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        """Whether a folded word is known, or made of two German ones (``bauchaorta``)."""
        return word in self._words or _is_compound(word, self._joinable)

    def is_code(self, text: str) -> bool:
        """Whether folded letters and digits in a row look like a part of a protocol's name."""
        return _CODE.fullmatch(text) is not None


def _is_compound(word: str, words: frozenset[str]) -> bool:
    """Two known words of at least four letters; German joins them with an ``s`` or ``n``."""
    for end in range(4, len(word) - 3):
        if word[:end] in words:
            rest = word[end:]
            if rest in words or (rest[0] in "sn" and len(rest) > 4 and rest[1:] in words):
                return True
    return False
