"""Bounds on what is read from outside: a hostile or broken file is refused, not suffered."""

from __future__ import annotations

from dataclasses import dataclass, fields

from isocenter.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest data set that is read.

    Attributes:
        max_depth: nesting of sequences.
        max_elements: data elements and items in one data set, nested ones included.
        max_instance_bytes: length of a file, and of what a deflated data set inflates to.
        max_pixels: rows x columns x frames.
        max_value_bytes: length of one value that is no bulk data, where it has to be decoded.
    """

    max_depth: int = 32
    max_elements: int = 1_000_000
    max_instance_bytes: int = 8 << 30
    max_pixels: int = 1 << 32
    max_value_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigurationError(f"{field.name} must be at least 1")


DEFAULT_BOUNDS = Bounds()
