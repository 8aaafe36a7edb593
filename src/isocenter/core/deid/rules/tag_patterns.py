"""Which elements a rule means: by keyword, tag, wildcard, private creator, and place.

=============================== ==============================================================
written                         means
=============================== ==============================================================
``PatientName``                 the attribute, at every depth
``(0010,0010)``, ``00100010``   the same by tag
``(0010,xxxx)``, ``60xx3000``   every tag with any digit in place of an x
``private``                     every private element
``(0019,xx10,"SIEMENS …")``     a private element by its creator, whatever its block
``/PatientName``                at the top of the data set only
``BeamSequence/BeamName``       directly in an item of that sequence, at every depth
=============================== ==============================================================
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pydicom._dicom_dict import RepeatersDictionary
from pydicom.datadict import keyword_dict

from isocenter.core.errors import ConfigurationError

_TAG = re.compile(r"\(?([0-9A-Fa-fxX]{4}),? ?([0-9A-Fa-fxX]{4})(?:, ?\"([^\"]+)\")?\)?")
_EVERY_DIGIT = 0xFFFFFFFF
_PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class _Step:
    """One tag of a path: the digits that count, and what they are."""

    mask: int
    digits: int
    creator: str = ""
    private: bool = False

    def fits(self, tag: int, creator: str) -> bool:
        if self.private and not tag & 0x10000:
            return False
        if self.creator and self.creator != creator.strip(" \0").casefold():
            return False
        return tag & self.mask == self.digits


@dataclass(frozen=True)
class TagPattern:
    """A pattern of one or several tags; see the head of this module.

    Attributes:
        text: as written.

    Raises:
        ConfigurationError: it is no pattern, or a keyword that does not exist.
    """

    text: str

    def __post_init__(self) -> None:
        _ = self._steps

    @cached_property
    def _steps(self) -> tuple[_Step, ...]:
        parts = self.text.strip().removeprefix("/").split("/")
        return tuple(_step(part.strip()) for part in parts)

    @cached_property
    def is_top_only(self) -> bool:
        """Whether it starts at the top of the data set."""
        return self.text.strip().startswith("/")

    @property
    def tag(self) -> int | None:
        """The one tag that it means; None where several fit."""
        last = self._steps[-1]
        return last.digits if last.mask == _EVERY_DIGIT else None

    @cached_property
    def anywhere(self) -> int | None:
        """The one tag that it means at every depth; None where the place or the maker counts."""
        step = self._steps[0]
        alone = len(self._steps) == 1 and not self.is_top_only and not step.creator
        return self.tag if alone else None

    def fits(self, path: tuple[int, ...], creator: str = "") -> bool:
        """Whether it means the element at a path of tags, outermost first.

        Args:
            path: tags of the sequences around the element, and its own.
            creator: Private Creator of the element's block, if it is private.
        """
        steps = self._steps
        if len(path) < len(steps) or (self.is_top_only and len(path) != len(steps)):
            return False
        if not steps[-1].fits(path[-1], creator):
            return False
        around = path[len(path) - len(steps) : -1]
        return all(step.fits(tag, "") for step, tag in zip(steps, around, strict=False))

    def may_fit(self, tag: int) -> bool:
        """Whether it can mean an element with this tag, wherever it is and whoever made it."""
        last = self._steps[-1]
        return tag & last.mask == last.digits and (not last.private or bool(tag & 0x10000))


@lru_cache(maxsize=4096)
def _step(text: str) -> _Step:
    if text.lower() == _PRIVATE:
        return _Step(0, 0, private=True)
    found = _TAG.fullmatch(text)
    if found is not None and not text.isalpha():
        return _step_of_digits(found[1] + found[2], found[3] or "")
    return _Step(_EVERY_DIGIT, tag_of(text)) if _is_keyword(text) else _repeating(text)


def _step_of_digits(digits: str, creator: str) -> _Step:
    mask = int("".join("0" if digit in "xX" else "f" for digit in digits), 16)
    value = int("".join("0" if digit in "xX" else digit for digit in digits), 16)
    if creator and not value & 0x10000:
        raise ConfigurationError(f"{digits[:4]},{digits[4:]}: only odd groups have a creator")
    if creator:  # the block that a creator has reserved differs from object to object
        mask, value = mask & 0xFFFF00FF, value & 0xFFFF00FF
    return _Step(mask, value, creator.strip().casefold())


def _repeating(keyword: str) -> _Step:
    """Repeating groups by their keyword, for instance OverlayData (60xx,3000)."""
    for digits, entry in RepeatersDictionary.items():
        if keyword and entry[4] == keyword:
            return _step_of_digits(digits, "")
    raise ConfigurationError(f"{keyword!r} is no tag and no DICOM keyword", hint=_nearest(keyword))


class TagPatterns:
    """Several patterns, asked at once: tags alone are looked up, the others are tried."""

    def __init__(self, patterns: tuple[TagPattern, ...]) -> None:
        tags = (pattern.anywhere for pattern in patterns)
        self._tags = frozenset(tag for tag in tags if tag is not None)
        self._others = tuple(pattern for pattern in patterns if pattern.anywhere is None)

    def fit(self, path: tuple[int, ...], creator: str) -> bool:
        """Whether one of them means the element."""
        return path[-1] in self._tags or any(one.fits(path, creator) for one in self._others)

    def may_fit(self, tag: int) -> bool:
        """Whether one of them can mean an element with this tag."""
        return tag in self._tags or any(one.may_fit(tag) for one in self._others)


def tag_of(keyword: str) -> int:
    """The tag of a keyword.

    Raises:
        ConfigurationError: there is no such keyword; says which is near.
    """
    if not _is_keyword(keyword):
        raise ConfigurationError(f"{keyword!r} is no DICOM keyword", hint=_nearest(keyword))
    return int(keyword_dict[keyword])


def _is_keyword(text: str) -> bool:
    return bool(text) and text in keyword_dict  # retired attributes share an empty one


def _nearest(keyword: str) -> str:
    near = difflib.get_close_matches(keyword, keyword_dict, n=1)
    return (
        f"did you mean {near[0]}?" if near and near[0] else "for example PatientName or (0010,0010)"
    )
