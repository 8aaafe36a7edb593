"""What the warm processes do: draw pictures, decode frames (see ``core.isolation.pool``).

`plain_picture` is for the process that has been asked, where nothing can go wrong with a picture
that would harm it: sending it to another one takes longer than drawing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import pack_bits

from isocenter.core.dicom.image_header import (
    CINE_RATE,
    DISPLAY_RATE,
    FRAME_TIME,
    REPRESENTATIVE_FRAME,
    ImageHeader,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import reading_attributes
from isocenter.core.errors import DicomError, NotAllowed, PixelError
from isocenter.core.rendering.annotation import annotated
from isocenter.core.rendering.colour import rgb_levels
from isocenter.core.rendering.encoding import animated, encoded
from isocenter.core.rendering.grey import grey_levels
from isocenter.core.rendering.order import GIF, Order
from isocenter.core.rendering.placing import placed, thinned
from isocenter.core.rendering.source import Image, open_image, plain_image

MAX_ANIMATED_FRAMES = 2000
MAX_ANIMATED_PIXELS = 1 << 27  # of all frames together, as they are drawn
MAX_DECODED_BYTES = 1 << 30  # of all frames of a call
_FRAME_MS = 100
_FRAME_MS_BOUNDS = (20, 10_000)


def render(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """One picture or animation.

    Request: ``path``; ``order``: an :class:`Order` as a dict; ``identified``: who asks may know
    whose image it is. Result: ``media_type``, ``frames`` of the image.

    Raises:
        NotAllowed: the image says that its pixels name the patient, and who asks may not know.
        DicomError: it cannot be drawn; says why.
    """
    order = Order.of(request["order"])
    with _reading():
        image = open_image(Path(request["path"]))
        _check_burned_in(image.header, request["identified"])
        picture = _picture(image, order)
    return {"media_type": order.media_type, "frames": image.header.frames}, picture


def plain_picture(path: Path, order: Order, *, identified: bool) -> bytes | None:
    """What :func:`render` draws, of an image and an order that need no decoder and little memory;
    None for all others. For any thread.

    Raises:
        NotAllowed, DicomError: see :func:`render`.
        OSError: the file cannot be read.
    """
    is_moved = order.viewport is not None or order.region is not None
    if is_moved or order.annotation or order.media_type == GIF or len(order.frames) > 1:
        return None
    image = plain_image(path)
    if image is None:
        return None
    _check_burned_in(image.header, identified)
    return _picture(image, order)


def decode(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Frames as native little endian, the way transcoding to explicit little endian gives them:
    colour by pixel, codecs' own colour transforms undone, one-bit images packed.

    Request: ``path``; ``frames``: indices from 0; ``identified``. Result: ``sizes`` in bytes.

    Raises:
        NotAllowed: see :func:`render`.
        DicomError: a frame cannot be decoded.
    """
    with _reading():
        image = open_image(Path(request["path"]))
        _check_burned_in(image.header, request["identified"])
        frames: list[bytes] = []
        for index in request["frames"]:
            frames.append(_native(image, index))
            if sum(map(len, frames)) > MAX_DECODED_BYTES:
                raise PixelError(
                    f"these frames have more than {MAX_DECODED_BYTES >> 20} MiB",
                    hint="ask for fewer at once",
                )
    return {"sizes": [len(frame) for frame in frames]}, b"".join(frames)


class _reading:
    """pydicom without warnings; what it raises, and what a file does, as errors of ours."""

    def __enter__(self) -> None:
        self._quiet = quiet_pydicom()
        self._attributes = reading_attributes("the image")
        self._quiet.__enter__()
        self._attributes.__enter__()

    def __exit__(self, *error: Any) -> bool:
        try:
            if isinstance(error[1], OSError):
                raise DicomError(f"the file cannot be read: {error[1].strerror}") from None
            if isinstance(error[1], NotAllowed):
                return False
            return bool(self._attributes.__exit__(*error))
        finally:
            self._quiet.__exit__(None, None, None)


def _check_burned_in(header: ImageHeader, identified: bool) -> None:
    """Burned In Annotation (PS3.3 C.7.6.1)."""
    if not identified and header.is_burned_in:
        raise NotAllowed("the image says that its pixels name the patient")


def _picture(image: Image, order: Order) -> bytes:
    indices = order.frames
    if order.media_type == GIF and not indices:
        indices = tuple(range(image.header.frames))
    if not indices:
        indices = (_representative(image.header, middle=order.true_shape),)
    if len(indices) == 1:
        return encoded(_levels(image, indices[0], order), order.media_type, order.quality)
    if order.media_type != GIF:
        raise PixelError("only a GIF has several frames")
    return animated(_frames(image, indices, order), _duration_ms(image.header))


def _frames(image: Image, indices: tuple[int, ...], order: Order) -> Iterator[NDArray[np.uint8]]:
    if len(indices) > MAX_ANIMATED_FRAMES:
        raise PixelError(
            f"an animation has at most {MAX_ANIMATED_FRAMES} frames", hint="ask for some frames"
        )
    pixels = 0
    for index in indices:
        levels = _levels(image, index, order)
        pixels += levels.shape[0] * levels.shape[1]
        if pixels * len(indices) > MAX_ANIMATED_PIXELS and index == indices[0]:
            raise PixelError(
                f"the animation would have {pixels * len(indices)} pixels; at most "
                f"{MAX_ANIMATED_PIXELS} are drawn",
                hint="ask for a smaller viewport, or for some frames",
            )
        yield levels


def _levels(image: Image, index: int, order: Order) -> NDArray[np.uint8]:
    stored = thinned(image.stored_values(index), order)
    is_colour = stored.ndim == 3 or image.header.photometric == "PALETTE COLOR"
    if is_colour:
        levels = rgb_levels(image, stored)
    else:
        levels = grey_levels(image, index, stored, order.window)
    levels = placed(levels, order, image.header)
    if order.annotation:
        levels = annotated(levels, image, index, order.annotation)
    return levels


def _representative(header: ImageHeader, *, middle: bool) -> int:
    """Representative Frame Number (PS3.3 C.7.6.6); else the first, or the middle one."""
    raw = header.stored_value(REPRESENTATIVE_FRAME)
    if raw is not None and 1 <= raw <= header.frames:
        return raw - 1
    return header.frames // 2 if middle else 0


def _duration_ms(header: ImageHeader) -> int:
    """Of a frame (PS3.3 C.7.6.5)."""
    time = header.number(FRAME_TIME)
    rate = header.number(DISPLAY_RATE) or header.number(CINE_RATE)
    if time is None or time <= 0:
        time = 1000 / rate if rate is not None and rate > 0 else _FRAME_MS
    low, high = _FRAME_MS_BOUNDS
    return round(min(max(time, low), high))


def _native(image: Image, index: int) -> bytes:
    values = image.stored_values(index)
    if image.header.bits_allocated == 1:
        return bytes(pack_bits(values.reshape(-1), pad=False))
    return values.tobytes()
