"""All slices with contours on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from isocenter.core.contours.outputs.canvas import font, halo_text, shortened
from isocenter.core.contours.outputs.picture import (
    FOOTER_HEIGHT,
    Entry,
    Style,
    draw_image,
    drawn_on,
    footer,
)
from isocenter.core.contours.outputs.writer import Scene

MOST_TILES = 20
_SIDE = 240
_GAP = 6
_HEADER = 44
_ENTRY = 22
_BACKGROUND = (10, 12, 16)
_TEXT = (232, 236, 241)
_MUTED = (134, 146, 160)


def chosen_slices(slices: Sequence[int], most: int = MOST_TILES) -> list[int]:
    """At most `most` slices, first and last among them, evenly apart."""
    if len(slices) <= most:
        return list(slices)
    places = np.unique(np.linspace(0, len(slices) - 1, most).round().astype(int))
    return [slices[place] for place in places]


def thumbnail(scene: Scene, index: int, style: Style) -> Image.Image:
    """A slice fitted into a tile, with lines that are still seen there."""
    left, top, right, bottom = region(scene, style)
    longest = max(right - left, bottom - top)
    width = 2.0 * max(longest / _SIDE, 0.5)
    picture = draw_image(scene, index, style, drawn_on(index, style), line_width=width)
    picture = picture.crop((left, top, right, bottom))
    factor = min(_SIDE / picture.width, _SIDE / picture.height)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def region(scene: Scene, style: Style) -> tuple[int, int, int, int]:
    """The part of the picture around all contours: left, top, right, bottom.

    A tenth of the image is left on each side, and at least half of it is shown.
    """
    edges: list[tuple[int, int]] = []
    for axis, (count, scale) in enumerate(
        zip((scene.stack.rows, scene.stack.columns), style.scale, strict=True), start=1
    ):
        boxes = [mask.box[axis] for mask in scene.masks if not mask.is_empty]
        low = min((box.start for box in boxes), default=0) - count / 10
        high = max((box.stop for box in boxes), default=count) + count / 10
        lacking = max(0.0, count / 2 - (high - low)) / 2
        low, high = low - lacking, high + lacking
        low, high = max(0.0, min(low, count / 2)), min(float(count), max(high, count / 2))
        edges.append((round(low * scale), max(round(high * scale), round(low * scale) + 1)))
    (top, bottom), (left, right) = edges
    return left, top, right, bottom


def draw_montage(
    scene: Scene, style: Style, tiles: Sequence[tuple[int, Image.Image]], total: int
) -> Image.Image:
    """A sheet of thumbnails with a legend.

    Args:
        scene: for names and disclaimer.
        style: colours of the ROIs.
        tiles: slice index and thumbnail, in order.
        total: how many slices have contours.
    """
    columns = min(5, max(2, math.ceil(math.sqrt(len(tiles)))))
    rows = math.ceil(len(tiles) / columns)
    cell = (
        max([t.width for _, t in tiles], default=_SIDE),
        max([t.height for _, t in tiles], default=_SIDE),
    )
    width = max(columns * (cell[0] + _GAP) + _GAP, 560)
    entries = [entry for entry in style.entries if not entry.mask.is_empty]
    per_row = max(1, (width - 2 * _GAP) // 230)
    legend = math.ceil(len(entries) / per_row) * _ENTRY + 16
    height = _HEADER + rows * (cell[1] + _GAP) + legend + FOOTER_HEIGHT
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    title = f"{scene.series.modality} with RT contours"
    draw.text((14, _HEADER / 2), title, font=font(16, bold=True), fill=_TEXT, anchor="lm")
    shown = f"{len(tiles)} of {total} slices with contours" if total else "no slice has contours"
    draw.text((width - 14, _HEADER / 2), shown, font=font(12), fill=_MUTED, anchor="rm")
    left = (width - columns * (cell[0] + _GAP) + _GAP) // 2
    for place, (index, tile) in enumerate(tiles):
        x = left + place % columns * (cell[0] + _GAP)
        y = _HEADER + place // columns * (cell[1] + _GAP)
        sheet.paste(tile, (x, y))
        halo_text(draw, (x + 6, y + 4), str(index + 1), font(12, bold=True), _TEXT)
    _draw_entries(draw, entries, (14, height - FOOTER_HEIGHT - legend + 8), width, per_row)
    footer(sheet, scene.options.disclaimer)
    return sheet


def _draw_entries(
    draw: ImageDraw.ImageDraw,
    entries: Sequence[Entry],
    where: tuple[int, int],
    width: int,
    per_row: int,
) -> None:
    face = font(12)
    pitch = (width - 28) // per_row
    for place, entry in enumerate(entries):
        x = where[0] + place % per_row * pitch
        y = where[1] + place // per_row * _ENTRY
        draw.rounded_rectangle((x, y + 3, x + 12, y + 15), radius=3, fill=entry.colour)
        volume = f"  {entry.mask.volume_ml:.1f} ml"
        room = pitch - 24 - face.getlength(volume) - 8
        name = shortened(entry.name, face, room)
        draw.text((x + 19, y + 9), name, font=face, fill=_TEXT, anchor="lm")
        after = x + 19 + face.getlength(name)
        draw.text((after, y + 9), volume, font=face, fill=_MUTED, anchor="lm")
