"""Text drawn into pixels at known boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deid_proof.free_text import dates
from deid_proof.identities import Person
from deid_proof.images import CR, SC, US_MULTIFRAME
from deid_proof.modules import Uids, begin, image
from deid_proof.plants import Place, Plant

US = "1.2.840.10008.5.1.4.1.1.6.1"
_FONT = Path(__file__).parents[2] / "src/isocenter/core/contours/outputs/fonts/DejaVuSans.ttf"


@dataclass(frozen=True)
class Box:
    """The smallest rectangle round a drawn text, in pixels, of one frame from 0."""

    frame: int
    x: int
    y: int
    width: int
    height: int

    @property
    def text(self) -> str:
        """As the answer database has it."""
        return f"{self.frame},{self.x},{self.y},{self.width},{self.height}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT), size)


def draw(
    text: str,
    shape: tuple[int, int],
    *,
    at: tuple[int, int] = (6, 6),
    size: int = 18,
    background: np.ndarray[Any, Any] | None = None,
    ink: int = 255,
    frame: int = 0,
) -> tuple[Box, np.ndarray[Any, Any]]:
    """A grey image with a text, and where it is."""
    base = np.zeros(shape, np.uint8) if background is None else background
    empty = Image.new("L", (shape[1], shape[0]), 0)
    ImageDraw.Draw(empty).text(at, text, fill=255, font=_font(size))
    mask = np.asarray(empty) > 96
    if not mask.any():
        raise ValueError("the text is outside the image")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    picture = base.copy()
    picture[mask] = ink
    box = Box(frame, int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    return box, picture


def _lines(person: Person, index: int) -> list[str]:
    return [
        f"{person.family}, {person.given}",
        f"ID {person.patient_id}",
        f"DOB {dates(person.birth)[index % 12]}",
        f"{person.institution}",
        f"Dr. {person.referring[0]}",
    ]


def _surface(index: int, shape: tuple[int, int]) -> tuple[np.ndarray[Any, Any], int]:
    """Backgrounds as devices have them, and an ink that can be read on them."""
    generator = np.random.default_rng(7_000 + index)
    turn = (index // 4 + index) % 6
    if turn == 0:
        return np.zeros(shape, np.uint8), 255
    if turn == 1:
        return np.full(shape, 235, np.uint8), 10
    if turn == 2:  # speckle
        return generator.integers(0, 60, shape, np.uint8), 240
    if turn == 3:  # little contrast
        return np.full(shape, 70, np.uint8), 130
    if turn == 4:  # grey on anatomy-like waves
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
        waves = 60 + 40 * np.sin(rows / 23) * np.cos(columns / 31)
        return waves.astype(np.uint8), 250
    ramp = np.linspace(20, 110, shape[1])
    return np.tile(ramp, (shape[0], 1)).astype(np.uint8), 255


def burned(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """An image with three to five lines about the patient in its pixels; a study of its own."""
    kinds = ((US, "US"), (SC, "OT"), (CR, "CR"), (US_MULTIFRAME, "US"))
    sop_class, modality = kinds[index % len(kinds)]
    place = begin(
        person,
        serial,
        plants,
        uids,
        sop_class=sop_class,
        modality=modality,
        kind="BURN",
        study=100 + index,
    )
    flag = ("YES", "", "YES", "NO")[(index // 4) % 4]
    if flag:
        place.put("BurnedInAnnotation", flag)
    place.put("PatientOrientation", "")
    if sop_class == SC:
        place.put("ConversionType", ("WSD", "SD", "DI")[index % 3])
    place.put("ImageType", ["DERIVED", "SECONDARY"] if sop_class == SC else ["ORIGINAL", "PRIMARY"])
    frames = []
    for frame in range(2 if sop_class == US_MULTIFRAME else 1):
        boxes, picture = _inscribed(person, index, frame)
        frames.append(picture)
        plants += [Plant(serial, place.path("PixelData"), "OB", "box", box.text) for box in boxes]
    stack = np.stack(frames)
    if modality == "US" and index % 8 < 4:
        image(place, np.repeat(stack[..., None], 3, axis=-1), color=True, allocated=8, keep=False)
    elif modality == "CR":  # 12 bits; every other one white on black by its photometric alone
        if index % 8 < 4:
            image(place, 4080 - stack.astype(np.uint16) * 16, keep=False, inverted=True)
        else:
            image(place, stack.astype(np.uint16) * 16, keep=False)
    else:
        image(place, stack, allocated=8, keep=False)
    if sop_class == US_MULTIFRAME:
        place.put("FrameTime", "33")
        place.put("FrameIncrementPointer", 0x00181063)
    return place


def _inscribed(person: Person, index: int, frame: int) -> tuple[list[Box], np.ndarray[Any, Any]]:
    """A picture with lines about a person in sizes from 10 pixels, and where they are."""
    shape = (240, 400)
    picture, ink = _surface(index + frame, shape)
    boxes = []
    for line, text in enumerate(_lines(person, index)[: 3 + index % 3]):
        size = (14, 18, 22, 28)[(index + line) % 4]
        at = (8 + 31 * ((index + line) % 4), 6 + 45 * line)
        box, picture = draw(text, shape, at=at, size=size, background=picture, ink=ink, frame=frame)
        boxes.append(box)
    return boxes, picture


def plain(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """A picture without any text: it must come out as it went in, or be refused."""
    place = begin(
        person, serial, plants, uids, sop_class=SC, modality="OT", kind="PLAIN", study=200 + index
    )
    place.put("ConversionType", "WSD")
    place.put("ImageType", ["DERIVED", "SECONDARY"])
    rows, columns = np.mgrid[0:200, 0:240]
    disc = ((rows - 100) ** 2 + (columns - 120) ** 2 < (50 + 5 * index) ** 2) * 150 + 30
    image(place, disc.astype(np.uint8), allocated=8)
    return place
