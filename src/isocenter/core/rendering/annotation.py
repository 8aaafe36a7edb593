"""What is written into a picture: who it is of, and how it was taken (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import DicomError
from isocenter.core.rendering.source import Image

_FONT = Path(__file__).parent.parent / "contours" / "outputs" / "fonts" / "DejaVuSans.ttf"
_SIZES = (9, 40)  # smallest and largest letters, in pixels
_ROWS_PER_SIZE = 36
_LONGEST = 64  # characters of a line
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate")
# Numbers and codes only: what people wrote may name somebody.
_TECHNIQUE = (
    ("Modality", "{}"),
    ("SeriesNumber", "series {}"),
    ("InstanceNumber", "image {}"),
    ("SliceLocation", "at {} mm"),
    ("SliceThickness", "thickness {} mm"),
    ("KVP", "{} kV"),
    ("XRayTubeCurrent", "{} mA"),
    ("RepetitionTime", "TR {} ms"),
    ("EchoTime", "TE {} ms"),
)


def annotated(
    levels: NDArray[np.uint8], image: Image, index: int, what: tuple[str, ...]
) -> NDArray[np.uint8]:
    """A picture with text: the patient at the top, the technique at the bottom.

    Args:
        levels: (rows, columns) or (rows, columns, 3).
        index: of the frame.
        what: ``patient``, ``technique``.
    """
    lines = {name: _lines(image, index, name) for name in what}
    picture = Pictures.fromarray(np.ascontiguousarray(levels))
    size = min(max(picture.height // _ROWS_PER_SIZE, _SIZES[0]), _SIZES[1])
    draw = ImageDraw.Draw(picture)
    font = _font(size)
    look: dict[str, Any] = {"font": font, "fill": 255, "stroke_width": 1, "stroke_fill": 0}
    if levels.ndim == 3:
        look |= {"fill": (255, 255, 255), "stroke_fill": (0, 0, 0)}
    if text := "\n".join(lines.get("patient", ())):
        draw.multiline_text((size // 2, size // 2), text, **look)
    if text := "\n".join(lines.get("technique", ())):
        below = picture.height - size // 2
        draw.multiline_text((size // 2, below), text, anchor="ld", **look)
    return np.asarray(picture)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONT, size)


def _lines(image: Image, index: int, name: str) -> list[str]:
    dataset = image.presentation
    with quiet_pydicom():
        if name == "patient":
            return [text for keyword in _PATIENT if (text := _text(dataset, keyword))]
        found = [(_text(dataset, keyword), form) for keyword, form in _TECHNIQUE]
    lines = [form.format(text) for text, form in found if text]
    if image.header.frames > 1:
        lines.append(f"frame {index + 1} of {image.header.frames}")
    return lines


def _text(dataset: Any, keyword: str) -> str:
    """A value as text on one line; empty where there is none, or it cannot be read."""
    try:
        value = dataset.get(keyword)
        if keyword == "PatientName" and value is not None:
            groups = (value.alphabetic, value.ideographic)
            value = "  ".join(str(group).replace("^", " ").strip() for group in groups if group)
    except (DicomError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
        return ""
    text = " ".join(str("" if value is None else value).split())
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST]
