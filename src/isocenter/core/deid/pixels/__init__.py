"""Burned-in text, graphics, documents and faces: what identifies somebody outside the header.

:func:`clean` does one image. What needs no pixels is in the modules: :mod:`inspection` (which
objects can carry text), :mod:`templates`, :mod:`graphics`, :mod:`documents`, :mod:`faces`.
"""

from __future__ import annotations

from isocenter.core.deid.pixels.cleaning import PixelResult, Region, clean
from isocenter.core.deid.pixels.inspection import Facts, Need, NeedKind, needs
from isocenter.core.deid.pixels.ocr import TextDetector, available
from isocenter.core.deid.pixels.rectangles import Rectangle
from isocenter.core.deid.pixels.templates import Template, TemplateSet

__all__ = [
    "Facts",
    "Need",
    "NeedKind",
    "PixelResult",
    "Rectangle",
    "Region",
    "Template",
    "TemplateSet",
    "TextDetector",
    "available",
    "clean",
    "needs",
]
