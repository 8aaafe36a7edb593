"""A line of text as a small picture: letters on a ground, placed in a corner of an image.

The letters are those of Pillow's built-in scalable font.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from isocenter.core.contours.options import BurnIn
from isocenter.core.errors import ConfigurationError, PixelError

_LEAST_SIZE = 10
#: Five pixels can be read well, four still can.
_SMALLEST_SIZE = 4
_ROWS_PER_SIZE = 40
_PADDING = 2
#: Text never covers more than this part of an image's height.
_MOST_OF_HEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class TextBox:
    """The rectangle of pixels that text changes; nothing outside it does.

    Attributes:
        row, column: of its first pixel.
        cover: (height, width) float64, 0 ground … 1 letter.
    """

    row: int
    column: int
    cover: NDArray[np.float64]

    @property
    def window(self) -> tuple[slice, slice]:
        """(rows, columns) as slices."""
        height, width = self.cover.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


@lru_cache(maxsize=16)
def place(options: BurnIn, rows: int, columns: int) -> TextBox:
    """Sets the text into an image of `rows` x `columns`.

    Letters have ``options.size``, or a fortieth of the height; they get smaller and the text is
    broken into lines at its spaces where it is too wide.

    Raises:
        PixelError: the image is too small for the text.
        ConfigurationError: the font lacks a letter of the text.
    """
    _refuse_missing_letters(options.text)
    wanted = options.size or max(_LEAST_SIZE, rows // _ROWS_PER_SIZE)
    for size in range(wanted, min(wanted, _SMALLEST_SIZE) - 1, -1):
        cover = _drawn(options.text, size, columns)
        if cover is not None and cover.shape[0] <= rows * _MOST_OF_HEIGHT:
            return _in_corner(cover, options.position, rows, columns)
    raise PixelError(
        f"an image of {rows} x {columns} pixels is too small for the text to be burnt in",
        hint="use a shorter text",
    )


def _in_corner(cover: NDArray[np.float64], position: str, rows: int, columns: int) -> TextBox:
    height, width = cover.shape
    # Ten pixels from the edges, less where the image is small.
    margin_rows = min(10, rows // 32, rows - height)
    margin_columns = min(10, columns // 32, columns - width)
    vertical, horizontal = position.split("-")
    row = margin_rows if vertical == "top" else rows - height - margin_rows
    column = margin_columns if horizontal == "left" else columns - width - margin_columns
    return TextBox(row, column, cover)


def _drawn(text: str, size: int, columns: int) -> NDArray[np.float64] | None:
    font = _font(size)
    lines = _broken(text, font, columns - 2 * _PADDING)
    if lines is None:
        return None
    said = "\n".join(lines)
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), said, font=font, spacing=1)
    width, height = int(np.ceil(right - left)), int(np.ceil(bottom - top))
    picture = Image.new("L", (width + 2 * _PADDING, height + 2 * _PADDING))
    ImageDraw.Draw(picture).multiline_text(
        (_PADDING - left, _PADDING - top), said, fill=255, font=font, spacing=1
    )
    if picture.width > columns:
        return None
    cover = np.asarray(picture, dtype=np.float64)
    return np.asarray(cover / max(cover.max(), 1.0))  # thin strokes would stay grey


def _broken(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str] | None:
    """Lines of at most `width` pixels; None when a word alone is wider."""
    lines: list[str] = []
    for word in text.split():
        if font.getlength(word) > width:
            return None
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def _refuse_missing_letters(text: str) -> None:
    font = _font(24)
    missing = bytes(font.getmask("\uffff"))
    for letter in dict.fromkeys(text):
        if not letter.isspace() and bytes(font.getmask(letter)) == missing:
            raise ConfigurationError(f"the font has no letter {letter!r} to burn in")
