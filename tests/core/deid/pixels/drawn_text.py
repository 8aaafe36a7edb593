"""Draws text into pictures as modalities do, and says where: what the measurements are taken on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

FONTS = Path(__file__).parents[4] / "src/isocenter/core"
_WORDS = (
    "DOE^JANE 1961",
    "ID: 4711-0815",
    "12/03/1957",
    "Smith, Robert J",
    "MRN 00079241539",
    "General Hospital",
    "DOB 1951-08-29 F",
    "Müller Jürgen",
    "ACC A1234567",
    "Dr. Kowalski",
)
Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """One text: its box in pixels and how it was drawn."""

    x: int
    y: int
    width: int
    height: int
    size_px: int
    contrast: int
    font: str
    turned: bool
    ground: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its texts, and the same without them."""

    pixels: Grey
    clean: Grey
    texts: tuple[Drawn, ...]


def fonts() -> dict[str, Path | None]:
    """Typefaces that this machine has; None is the one that Pillow brings."""
    found: dict[str, Path | None] = {"pillow": None}
    folder = Path("/usr/share/fonts/truetype")
    for name, path in (
        ("DejaVu Sans", folder / "dejavu/DejaVuSans.ttf"),
        ("DejaVu Sans Mono", folder / "dejavu/DejaVuSansMono.ttf"),
        ("Liberation Sans Narrow", folder / "liberation/LiberationSansNarrow-Regular.ttf"),
        ("Liberation Serif", folder / "liberation/LiberationSerif-Regular.ttf"),
        ("Liberation Mono Bold", folder / "liberation/LiberationMono-Bold.ttf"),
    ):
        if path.exists():
            found[name] = path
    for path in sorted(FONTS.rglob("*.ttf")):
        found[path.stem] = path
    return found


def ground(kind: str, rows: int, columns: int, random: np.random.Generator) -> Grey:
    """``black``, ``speckle`` (a sector), ``anatomy`` (smooth, with noise) or ``bright``."""
    if kind == "black":
        return np.zeros((rows, columns), np.uint8)
    if kind == "bright":
        return np.full((rows, columns), 230, np.uint8)
    coarse = ndimage.gaussian_filter(random.normal(size=(rows, columns)), 25)
    coarse = (coarse - coarse.min()) / np.ptp(coarse)
    if kind == "anatomy":
        noise = random.normal(0, 4, (rows, columns))
        return np.clip(20 + 190 * coarse + noise, 0, 255).astype(np.uint8)
    speckle = ndimage.gaussian_filter(random.rayleigh(1, (rows, columns)), (0.8, 1.6))
    picture = np.clip(speckle * 55 * (0.3 + coarse), 0, 255)
    y, x = np.mgrid[:rows, :columns]
    angle = np.abs(np.arctan2(x - columns / 2, y + rows * 0.1))
    radius = np.hypot(x - columns / 2, y + rows * 0.1)
    inside = (angle < 0.75) & (radius > rows * 0.18) & (radius < rows * 1.05)
    return np.where(inside, picture, 0).astype(np.uint8)


def picture(
    seed: int,
    *,
    kind: str,
    contrast: int,
    sizes: tuple[int, ...] = (10, 12, 14, 16, 20, 28, 40),
    rows: int = 480,
    columns: int = 640,
    turned: bool = False,
    only_font: str = "",
) -> Picture:
    """A picture with one text of each size at a place that no other takes.

    Args:
        seed: the same gives the same picture.
        kind: see :func:`ground`.
        contrast: grey levels between the letters and what is under them; negative is darker.
        sizes: of the typefaces, in pixels per em.
        turned: by 90 degrees.
    """
    random = np.random.default_rng(seed)
    clean = ground(kind, rows, columns, random)
    pixels = clean.copy()
    taken = np.zeros(clean.shape, bool)
    faces = {only_font: fonts()[only_font]} if only_font else fonts()
    texts: list[Drawn] = []
    for size in sorted(sizes, reverse=True):
        name = sorted(faces)[int(random.integers(len(faces)))]
        letters = _letters(_WORDS[int(random.integers(len(_WORDS)))], faces[name], size)
        if turned:
            letters = np.rot90(letters)
        found = _free_place(taken, clean, letters.shape, contrast, random)
        if found is None:
            continue
        y, x, value = found
        height, width = letters.shape
        part = pixels[y : y + height, x : x + width].astype(float)
        share = letters / 255.0
        pixels[y : y + height, x : x + width] = part * (1 - share) + value * share
        taken[max(0, y - 12) : y + height + 12, max(0, x - 12) : x + width + 12] = True
        texts.append(Drawn(x, y, width, height, size, contrast, name, turned, kind))
    return Picture(pixels, clean, tuple(texts))


def _letters(text: str, path: Path | None, size: int) -> Grey:
    face = ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(text))
    sheet = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(sheet).text((-left, -top), text, font=face, fill=255)
    return np.asarray(sheet)


def _free_place(
    taken: NDArray[np.bool_],
    clean: Grey,
    shape: tuple[int, ...],
    contrast: int,
    random: np.random.Generator,
) -> tuple[int, int, float] | None:
    """Where a text fits and its whole length can be seen: row, column, grey value."""
    rows, columns = taken.shape
    height, width = shape
    if height >= rows or width >= columns:
        return None
    for _ in range(200):
        y, x = int(random.integers(rows - height)), int(random.integers(columns - width))
        if taken[y : y + height, x : x + width].any():
            continue
        part = clean[y : y + height, x : x + width].astype(float)
        value = float(np.median(part)) + contrast
        pieces = np.array_split(part, 6, axis=int(width > height))
        seen = min(abs(value - float(np.median(piece))) for piece in pieces)
        if 0 <= value <= 255 and seen >= 0.7 * abs(contrast):
            return y, x, value
    return None


def pictures(count: int, **arguments: object) -> Iterator[Picture]:
    """``count`` pictures with the seeds 0, 1 …"""
    for seed in range(count):
        yield picture(seed, **arguments)  # type: ignore[arg-type]
