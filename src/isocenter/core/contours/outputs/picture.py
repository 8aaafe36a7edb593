"""One slice as a picture: windowed image, masks, outlines, names, legend, disclaimer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.outputs.canvas import (
    PALETTE,
    Colour,
    drawable,
    fitting_font,
    font,
    halo_text,
    lightened,
    readable,
    shortened,
    smooth_lines,
)
from isocenter.core.contours.outputs.outlines import outlines
from isocenter.core.contours.outputs.window import Window, modality_values
from isocenter.core.contours.outputs.writer import Scene
from isocenter.core.dicom.geometry import Floats, SliceStack

TARGET_SIDE = 640
PANEL_WIDTH = 268
LEAST_HEIGHT = 420
FOOTER_HEIGHT = 26
FILL_OPACITY = 30
_BACKGROUND = (0, 0, 0)
_PANEL = (18, 22, 28)
_LINE = (44, 52, 62)
_TEXT = (232, 236, 241)
_MUTED = (134, 146, 160)
_FAINT = (84, 94, 106)
_AMBER = (255, 196, 64)
_AMBER_BACKGROUND = (46, 34, 6)
_ROW = 24
#: More names than this on one slice would hide the image; the legend has them all.
_MOST_LABELS = 8


@dataclass(frozen=True)
class Entry:
    """One ROI as it is drawn: mask, colour, and a name that the font can write."""

    mask: RoiMask
    colour: Colour
    name: str


@dataclass(frozen=True)
class Style:
    """What is the same in all pictures of a scene.

    Attributes:
        window: from values to grey.
        scale: pixels of the picture per row and per column; equal for square pixels.
        entries: ROIs in the structure set's order.
    """

    window: Window
    scale: tuple[float, float]
    entries: tuple[Entry, ...]


def style_of(scene: Scene, window: Window) -> Style:
    """Colours, names and scale for a scene."""
    entries = []
    for number, mask in enumerate(scene.masks):
        colour = mask.roi.colour or PALETTE[number % len(PALETTE)]
        name = drawable(mask.roi.name, f"ROI {mask.roi.number}")
        entries.append(Entry(mask, readable(colour), name))
    return Style(window, display_scale(scene.stack), tuple(entries))


def display_scale(stack: SliceStack) -> tuple[float, float]:
    """Pixels of the picture per row and per column.

    A whole factor that brings the longer side near 640; where pixels are not square, the longer
    edge of a pixel is stretched so that shapes are true.
    """
    factor = max(1, round(TARGET_SIDE / max(stack.rows, stack.columns)))
    row_mm, column_mm = stack.spacing_mm
    if abs(row_mm / column_mm - 1) < 0.005:
        return float(factor), float(factor)
    shorter = min(row_mm, column_mm)
    wanted = (factor * row_mm / shorter, factor * column_mm / shorter)
    longest = max(stack.rows * wanted[0], stack.columns * wanted[1])
    shrink = max(1, round(longest / (TARGET_SIDE * 1.6)))
    return wanted[0] / shrink, wanted[1] / shrink


@dataclass(frozen=True, eq=False)
class Drawn:
    """An ROI that is on a slice, with its outlines in the picture."""

    entry: Entry
    lines: list[Floats]


def drawn_on(index: int, style: Style) -> list[Drawn]:
    """The ROIs that have a voxel on a slice."""
    found = [Drawn(entry, outlines(entry.mask, index, style.scale)) for entry in style.entries]
    return [drawn for drawn in found if drawn.lines]


def draw_image(
    scene: Scene,
    index: int,
    style: Style,
    present: Sequence[Drawn],
    *,
    line_width: float | None = None,
) -> Image.Image:
    """The windowed slice with masks and outlines, without text.

    Args:
        scene: what is drawn.
        index: slice of the stack.
        style: colours and window.
        present: from `drawn_on`.
        line_width: of outlines, in pixels of the picture; by default a 320th of its shorter side.

    Raises:
        PixelError: the pixels cannot be decoded.
    """
    stack = scene.stack
    grey = style.window.to_grey(modality_values(scene.series, index))
    size = (
        max(1, round(stack.columns * style.scale[1])),
        max(1, round(stack.rows * style.scale[0])),
    )
    base = Image.fromarray(grey)
    if size != base.size:
        base = base.resize(size, Image.Resampling.BICUBIC)
    picture = base.convert("RGB")
    for drawn in present:
        if not _holds_another(drawn, present):
            _fill(picture, drawn.entry, index)
    width = line_width or max(1.6, min(size) / 320)
    for drawn in present:
        smooth_lines(picture, drawn.lines, drawn.entry.colour, width)
    return picture


def _holds_another(drawn: Drawn, present: Sequence[Drawn]) -> bool:
    """Whether an ROI is the body, or lies around another one: a tint would only hide the image."""
    if drawn.entry.mask.roi.interpreted_type == "EXTERNAL":
        return True
    outer = drawn.entry.mask.box[1:]
    others = (other.entry.mask.box[1:] for other in present if other is not drawn)
    return any(
        all(o.start <= i.start and i.stop <= o.stop for o, i in zip(outer, inner, strict=True))
        for inner in others
        if inner != outer
    )


def _fill(picture: Image.Image, entry: Entry, index: int) -> None:
    plane = entry.mask.slice(index).astype(np.uint8) * np.uint8(FILL_OPACITY)
    opacity = Image.fromarray(plane)
    if opacity.size != picture.size:
        opacity = opacity.resize(picture.size, Image.Resampling.NEAREST)
    picture.paste(entry.colour, (0, 0), opacity)


def draw_picture(scene: Scene, index: int, style: Style) -> Image.Image:
    """A slice with everything around it: labels, legend and disclaimer."""
    present = drawn_on(index, style)
    image = draw_image(scene, index, style, present)
    _labels(image, present)
    _directions(image, scene.stack)
    _ruler(image, scene.stack, style)
    height = max(image.height, LEAST_HEIGHT)
    picture = Image.new("RGB", (image.width + PANEL_WIDTH, height + FOOTER_HEIGHT), _BACKGROUND)
    picture.paste(image, (0, (height - image.height) // 2))
    panel = (image.width, 0, picture.width, height)
    here = [drawn.entry for drawn in present]
    _legend(picture, panel, scene, index, style)
    _legend_rows(picture, panel, here, [e for e in style.entries if e not in here])
    footer(picture, scene.options.disclaimer)
    return picture


def footer(picture: Image.Image, text: str) -> None:
    """The disclaimer in a strip along the lower edge."""
    draw = ImageDraw.Draw(picture)
    top = picture.height - FOOTER_HEIGHT
    draw.rectangle((0, top, picture.width, picture.height), fill=_AMBER_BACKGROUND)
    draw.line((0, top, picture.width, top), fill=_AMBER)
    face = fitting_font(text, picture.width - 16, 13)
    where = (picture.width / 2, top + FOOTER_HEIGHT / 2 + 1)
    draw.text(where, text, font=face, fill=_AMBER, anchor="mm")


def _labels(image: Image.Image, present: Sequence[Drawn]) -> None:
    """Names beside their outlines, as long as they are few and do not overlap."""
    draw = ImageDraw.Draw(image)
    face = font(13, bold=True)
    taken: list[tuple[float, float, float, float]] = []
    for drawn in present[:_MOST_LABELS]:
        entry, points = drawn.entry, np.concatenate(drawn.lines)
        text = shortened(entry.name, face, image.width * 0.4)
        width, height = face.getlength(text), 16.0
        for x, y in _label_places(points, width, height):
            box = (x - 2, y - 2, x + width + 2, y + height + 2)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= image.width
            if inside and box[3] <= image.height and not any(_overlap(box, b) for b in taken):
                halo_text(draw, (x, y), text, face, lightened(entry.colour))
                taken.append(box)
                break


def _label_places(points: Floats, width: float, height: float) -> list[tuple[float, float]]:
    """Upper left corners for a label, best first: right of, above, below, left of an outline."""
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    upper_right = points[np.argmax(points[:, 0] - points[:, 1])]
    return [
        (float(upper_right[0]) + 6, float(upper_right[1]) - height - 2),
        (float(right) + 7, float(top + bottom) / 2 - height / 2),
        (float(left + right) / 2 - width / 2, float(top) - height - 6),
        (float(left + right) / 2 - width / 2, float(bottom) + 5),
        (float(left) - width - 7, float(top + bottom) / 2 - height / 2),
        (float(left + right) / 2 - width / 2, float(top + bottom) / 2 - height / 2),
    ]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def direction_letters(direction: Floats) -> str:
    """Where a vector in LPS points to, in the letters of PatientOrientation (PS3.3 C.7.6.1.1.1)."""
    order = np.argsort(-np.abs(direction), kind="stable")
    names = (("L", "R"), ("P", "A"), ("H", "F"))
    return "".join(
        names[axis][0 if direction[axis] > 0 else 1] for axis in order if abs(direction[axis]) > 0.3
    )


def _directions(image: Image.Image, stack: SliceStack) -> None:
    draw = ImageDraw.Draw(image)
    face = font(14, bold=True)
    width, height = image.size
    places = (
        ((width - 7, height / 2), stack.row_cosine, "rm"),
        ((7, height / 2), -stack.row_cosine, "lm"),
        ((width / 2, height - 7), stack.column_cosine, "ms"),
        ((width / 2, 7), -stack.column_cosine, "mt"),
    )
    for where, direction, anchor in places:
        halo_text(draw, where, direction_letters(direction)[:2], face, _TEXT, anchor=anchor)


def _ruler(image: Image.Image, stack: SliceStack, style: Style) -> None:
    """A bar of a round length, about a fifth of the image."""
    pixels_per_mm = style.scale[1] / stack.spacing_mm[1]
    wanted = image.width / 5 / pixels_per_mm
    length = max((n for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= wanted), default=1)
    draw = ImageDraw.Draw(image)
    right, y = image.width - 12, image.height - 13
    left = right - length * pixels_per_mm
    for ink, width in ((_BACKGROUND, 4), (_TEXT, 2)):
        draw.line((left, y, right, y), fill=ink, width=width)
        for x in (left, right):
            draw.line((x, y - 4, x, y + 4), fill=ink, width=width)
    text = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    halo_text(draw, ((left + right) / 2, y - 7), text, font(11), _TEXT, anchor="ms")


def _legend(
    picture: Image.Image,
    panel: tuple[int, int, int, int],
    scene: Scene,
    index: int,
    style: Style,
) -> None:
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = panel
    draw.rectangle(panel, fill=_PANEL)
    draw.line((left, top, left, bottom), fill=_LINE)
    x, y = left + 16, top + 14
    draw.text(
        (x, y), f"{scene.series.modality} with RT contours", font=font(15, bold=True), fill=_TEXT
    )
    place = f"slice {index + 1} of {len(scene.stack)}   ·   {_level(scene.stack, index)}"
    draw.text((x, y + 24), place, font=font(12), fill=_MUTED)
    draw.text((x, y + 42), str(style.window), font=font(12), fill=_MUTED)
    draw.line((x, y + 66, right - 16, y + 66), fill=_LINE)
    draw.text((right - 16, bottom - 10), "Isocenter", font=font(11), fill=_FAINT, anchor="rs")


def _legend_rows(
    picture: Image.Image,
    panel: tuple[int, int, int, int],
    here: Sequence[Entry],
    elsewhere: Sequence[Entry],
) -> None:
    """ROIs of this slice first and bright, the others dim, with their volumes."""
    draw = ImageDraw.Draw(picture)
    x, y, right = panel[0] + 16, panel[1] + 90, panel[2] - 16
    ordered = [*here, *elsewhere]
    rows = max(1, (panel[3] - 34 - y) // _ROW)
    shown = ordered if len(ordered) <= rows else ordered[: rows - 1]
    for entry in shown:
        bright = entry in here
        box = (x, y + 4, x + 13, y + 17)
        if bright:
            draw.rounded_rectangle(box, radius=3, fill=entry.colour)
        else:
            draw.rounded_rectangle(box, radius=3, outline=_dimmed(entry.colour))
        volume = f"{entry.mask.volume_ml:.1f} ml" if not entry.mask.is_empty else "empty"
        draw.text(
            (right, y + 10), volume, font=font(11), fill=_MUTED if bright else _FAINT, anchor="rm"
        )
        face = font(13)
        room = right - x - 22 - font(11).getlength(volume) - 10
        ink = _TEXT if bright else _FAINT
        draw.text(
            (x + 22, y + 10), shortened(entry.name, face, room), font=face, fill=ink, anchor="lm"
        )
        y += _ROW
    if len(shown) < len(ordered):
        text = f"and {len(ordered) - len(shown)} more"
        draw.text((x + 22, y + 10), text, font=font(12), fill=_MUTED, anchor="lm")


def _dimmed(colour: Colour) -> Colour:
    red, green, blue = (round(c * 0.45 + p * 0.55) for c, p in zip(colour, _PANEL, strict=True))
    return (red, green, blue)


def _level(stack: SliceStack, index: int) -> str:
    """Where a slice lies: along the axis of the patient that its normal is nearest to."""
    axis = int(np.argmax(np.abs(stack.normal)))
    centre = stack.to_patient([((stack.columns - 1) / 2, (stack.rows - 1) / 2)], index)[0]
    return f"{'xyz'[axis]} {centre[axis]:.1f} mm"
