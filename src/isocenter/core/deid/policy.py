"""What a project wants: the Basic Profile and its options (PS3.15 E.2, E.3), and what goes beyond.

A policy is a plain value: it can be pickled, compared, and named by a digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.deid.rules.site_rules import RuleSet

Dates = Literal["remove", "shift", "keep"]
Pixels = Literal["off", "templates", "ocr"]
Faces = Literal["ignore", "refuse", "deface"]
Documents = Literal["refuse", "drop"]


class Option(StrEnum):
    """Options of the Basic Application Level Confidentiality Profile (PS3.15 E.3)."""

    CLEAN_PIXEL_DATA = "clean-pixel-data"
    CLEAN_RECOGNIZABLE_VISUAL_FEATURES = "clean-recognizable-visual-features"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    RETAIN_FULL_DATES = "retain-full-dates"
    RETAIN_MODIFIED_DATES = "retain-modified-dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_UIDS = "retain-uids"
    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"

    @property
    def code(self) -> str:
        """Code value in the DCM scheme (PS3.16 CID 7050)."""
        return str(113101 + list(Option).index(self))

    @property
    def meaning(self) -> str:
        """Code meaning (PS3.16 CID 7050)."""
        return _MEANINGS[self]


#: The Basic Profile itself (PS3.16 CID 7050).
BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")

_MEANINGS = {
    Option.CLEAN_PIXEL_DATA: "Clean Pixel Data Option",
    Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES: "Clean Recognizable Visual Features Option",
    Option.CLEAN_GRAPHICS: "Clean Graphics Option",
    Option.CLEAN_STRUCTURED_CONTENT: "Clean Structured Content Option",
    Option.CLEAN_DESCRIPTORS: "Clean Descriptors Option",
    Option.RETAIN_FULL_DATES: ("Retain Longitudinal Temporal Information Full Dates Option"),
    Option.RETAIN_MODIFIED_DATES: (
        "Retain Longitudinal Temporal Information Modified Dates Option"
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: "Retain Patient Characteristics Option",
    Option.RETAIN_DEVICE_IDENTITY: "Retain Device Identity Option",
    Option.RETAIN_UIDS: "Retain UIDs Option",
    Option.RETAIN_SAFE_PRIVATE: "Retain Safe Private Option",
    Option.RETAIN_INSTITUTION_IDENTITY: "Retain Institution Identity Option",
}

_DATE_OPTIONS: dict[str, Option] = {
    "shift": Option.RETAIN_MODIFIED_DATES,
    "keep": Option.RETAIN_FULL_DATES,
}


@dataclass(frozen=True, slots=True)
class PrivateKeep:
    """A private attribute that a project keeps, by its creator and place in the block.

    Attributes:
        creator: Private Creator, exactly.
        group: odd group number.
        element: the low byte, 0x00 to 0xFF (PS3.5 7.8.1); None keeps the whole block.
    """

    creator: str
    group: int
    element: int | None = None


@dataclass(frozen=True)
class Policy:
    """How objects are de-identified.

    Attributes:
        options: of the profile. ``retain-full-dates`` is ``dates="keep"`` and
            ``retain-modified-dates`` is ``dates="shift"``: say either, both come to be so.
            Pixels that are not off imply ``clean-pixel-data``, faces that are removed
            ``clean-recognizable-visual-features``.
        dates: what becomes of dates and times.
        whole_weeks: shift by whole weeks, so that days of the week stay.
        keep_ages: shift the birth date like every other date; otherwise it is emptied.
        pixels: how burned-in text is looked for.
        rules: a site's own; they go before the profile.
        private_keep: private attributes that stay besides the safe list.
        faces: what becomes of head CT and MR.
        documents: what becomes of encapsulated documents that cannot be cleaned.

    Raises:
        ConfigurationError: two of these contradict each other.
    """

    options: frozenset[Option] = frozenset()
    dates: Dates = "remove"
    whole_weeks: bool = False
    keep_ages: bool = False
    pixels: Pixels = "off"
    rules: RuleSet | None = None
    private_keep: tuple[PrivateKeep, ...] = ()
    faces: Faces = "ignore"
    documents: Documents = "refuse"

    def __post_init__(self) -> None:
        options = {Option(option) for option in self.options}
        said = options & set(_DATE_OPTIONS.values())
        if len(said) > 1:
            raise ConfigurationError(
                "retain-full-dates and retain-modified-dates exclude each other"
            )
        dates = self.dates
        for name, option in _DATE_OPTIONS.items():
            if option in said:
                if dates not in ("remove", name):
                    raise ConfigurationError(f"option {option} and dates {dates} contradict")
                object.__setattr__(self, "dates", name)
        if self.dates in _DATE_OPTIONS:
            options.add(_DATE_OPTIONS[self.dates])
        if self.pixels != "off":
            options.add(Option.CLEAN_PIXEL_DATA)
        if self.faces == "deface":
            options.add(Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES)
        object.__setattr__(self, "options", frozenset(options))

    def with_options(self, *options: Option) -> Policy:
        """The same with more options."""
        return replace(self, options=self.options | frozenset(options))

    def digest(self) -> str:
        """16 hexadecimal digits that name this policy: the same for equal policies, for ever."""
        text = "\n".join(f"{field.name}={self._written(field.name)}" for field in fields(self))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _written(self, name: str) -> str:
        value = getattr(self, name)
        if name == "options":
            return ",".join(sorted(value))
        if name == "rules":
            return "" if value is None else str(value.digest())
        return repr(value)


DEFAULT_POLICY = Policy()
