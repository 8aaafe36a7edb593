"""Drawing on pictures: fonts, text with a halo, smooth outlines.

Pillow draws no smooth lines; they are drawn three times as large into a mask of their own box,
which is reduced and used as opacity. That costs a few milliseconds per ROI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_OVERSAMPLING = 3
_MOST_JOINTS = 120
#: Bright on black and dark enough on white; neighbours differ in hue and lightness.
PALETTE: tuple[Colour, ...] = (
    (255, 82, 82),
    (64, 196, 255),
    (255, 214, 64),
    (105, 240, 124),
    (255, 128, 224),
    (255, 160, 64),
    (160, 140, 255),
    (64, 224, 208),
    (210, 230, 110),
    (240, 170, 140),
    (120, 170, 255),
    (200, 200, 200),
)
_LEAST_LUMA = 105.0


@lru_cache(maxsize=32)
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, shipped with the package: the same picture on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    data = BytesIO((files(__package__) / "fonts" / name).read_bytes())
    return ImageFont.truetype(data, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    if character.isspace():
        return True
    face = font(14)
    missing, glyph = face.getmask("\U0010ffff"), face.getmask(character)
    return glyph.size != missing.size or bytes(glyph) != bytes(missing)


def drawable(text: str, fallback: str) -> str:
    """`text` if the font has its letters, else `fallback` and those that it has."""
    if all(_has_glyph(c) for c in text):
        return text
    rest = "".join(c for c in text if _has_glyph(c))
    return " ".join([fallback, *rest.split()])


def readable(colour: Colour) -> Colour:
    """A colour that stands out from a dark background: mixed with white where it is too dark."""
    luma = float(np.dot(colour, (0.299, 0.587, 0.114)))
    if luma >= _LEAST_LUMA:
        return colour
    share = (_LEAST_LUMA - luma) / (255.0 - luma)
    red, green, blue = (round(c + (255 - c) * share) for c in colour)
    return (red, green, blue)


def lightened(colour: Colour) -> Colour:
    """A third of the way to white, for thin letters."""
    red, green, blue = (c + (255 - c) // 3 for c in colour)
    return (red, green, blue)


def shortened(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """`text`, with its end replaced by an ellipsis where it is wider than `width` pixels."""
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def fitting_font(
    text: str, width: float, largest: int, smallest: int = 7
) -> ImageFont.FreeTypeFont:
    """The largest font in which `text` is at most `width` pixels wide."""
    for size in range(largest, smallest, -1):
        if font(size).getlength(text) <= width:
            return font(size)
    return font(smallest)


def halo_text(
    draw: ImageDraw.ImageDraw,
    where: tuple[float, float],
    text: str,
    face: ImageFont.FreeTypeFont,
    fill: Colour,
    *,
    anchor: str = "la",
) -> None:
    """Text that can be read on any background."""
    draw.text(
        where, text, font=face, fill=fill, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0)
    )


def smooth_lines(
    picture: Image.Image,
    lines: Sequence[NDArray[np.float64]],
    colour: Colour,
    width: float,
) -> None:
    """Draw closed lines with a dark halo.

    Args:
        picture: RGB, changed in place.
        lines: (n, 2) arrays of (x, y) in pixels of the picture, pixel corners at whole numbers.
        colour: of the line.
        width: in pixels.
    """
    if not lines:
        return
    points = np.concatenate(lines)
    margin = int(width) + 3
    left, top = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    right, bottom = np.minimum(
        np.ceil(points.max(axis=0)).astype(int) + margin, (picture.width, picture.height)
    )
    if right <= left or bottom <= top:
        return
    box = (int(left), int(top), int(right), int(bottom))
    for paint, line_width, strength in (((0, 0, 0), width + 1.6, 0.55), (colour, width, 1.0)):
        opacity = _line_mask(lines, box, line_width, strength)
        picture.paste(paint, box, opacity)


def _without_straight(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A line without the points between two pieces of one direction."""
    steps = np.diff(points, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    keep = np.ones(len(points), dtype=bool)
    keep[1:-1] = np.abs(turns) > 1e-6
    return points[keep]


def _line_mask(
    lines: Iterable[NDArray[np.float64]],
    box: tuple[int, int, int, int],
    width: float,
    strength: float,
) -> Image.Image:
    size = ((box[2] - box[0]) * _OVERSAMPLING, (box[3] - box[1]) * _OVERSAMPLING)
    large = Image.new("L", size, 0)
    draw = ImageDraw.Draw(large)
    for line in lines:
        points = _without_straight((line - (box[0], box[1])) * _OVERSAMPLING)
        draw.line(
            points.round().astype(int).ravel().tolist(),
            fill=round(255 * strength),
            width=max(1, round(width * _OVERSAMPLING)),
            # Round joints are slow, and not seen where the pieces are short.
            joint="curve" if len(points) <= _MOST_JOINTS else None,
        )
    return large.reduce(_OVERSAMPLING)
