"""Text without case and accents, for searching: ``Müller`` and ``MULLER`` are the same.

The same function is used for what is stored and for what is asked, so that nothing depends on how
a database folds. Both sides have to be folded by the same version.
"""

from __future__ import annotations

import unicodedata

#: Changes with every change of what `fold` makes of some text: stored text is then folded anew.
FOLDING_VERSION = 1

# Letters that Unicode does not take apart, as people write them who do not have them.
_PLAIN = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ı": "i",
        "ĸ": "k",
        "ł": "l",
        "ŋ": "n",
        "œ": "oe",
        "æ": "ae",
        "þ": "th",
        "ŧ": "t",
        "\u02bc": "'",
        "\u2019": "'",
        "\u2018": "'",
        "\u00b4": "'",
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u00a0": " ",
        "\u3000": " ",
    }
)


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms taken apart, no marks, no case, single spaces.

    Kana keep their voicing marks (they make other syllables), Hangul its syllables; folding what
    is folded changes nothing.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    taken_apart = unicodedata.normalize("NFKD", text.translate(_PLAIN).casefold())
    kept = "".join(char for char in taken_apart if not _is_mark(char))
    folded = unicodedata.normalize("NFC", kept).casefold().translate(_PLAIN)
    return " ".join(folded.split())


def _is_mark(char: str) -> bool:
    """An accent and the like; vowel signs of Indic scripts (Mc) and kana's marks are letters."""
    return unicodedata.category(char) == "Mn" and char not in "\u3099\u309a"
