"""How many bytes the samples of native pixels, overlays and waveforms have (PS3.5 8.1)."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.deid.dataset.elements import ItemView
from isocenter.core.deid.dataset.replacing import ObjectRefused

PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00010, 0x7FE00008, 0x7FE00009
#: Where encapsulated frames are (PS3.3 C.7.6.3.1.8).
EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00001, 0x7FE00002
VALUE_TOTAL_LENGTH = 0x7FE00003
OFFSET_TABLES = (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS, VALUE_TOTAL_LENGTH)
WAVEFORM_DATA = 0x54001010
OVERLAY_DATA = 0x60003000
_SAMPLES, _PHOTOMETRIC, _FRAMES = 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _BITS = 0x00280010, 0x00280011, 0x00280100
_CHANNELS, _WAVEFORM_SAMPLES, _WAVEFORM_BITS = 0x003A0005, 0x003A0010, 0x54001004
_FLOAT_BITS = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}
UNKNOWN = "pixels, or other samples, of which nothing says how many they are"


@dataclass(frozen=True, slots=True)
class ImageShape:
    """What the Image Pixel module says (PS3.3 C.7.6.3); zero where it says nothing."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    photometric_interpretation: str

    @classmethod
    def of(cls, item: ItemView, tag: int) -> ImageShape:
        """Of the data set or item that an element of pixels is in."""
        frames = (item.text(_FRAMES) or "").strip(" \0") or "1"
        return cls(
            rows=_number(item, _ROWS),
            columns=_number(item, _COLUMNS),
            frames=int(frames) if frames.isdecimal() else 0,
            samples=_number(item, _SAMPLES) or 1,
            bits=_FLOAT_BITS.get(tag) or _number(item, _BITS),
            photometric_interpretation=(item.text(_PHOTOMETRIC) or "").strip(" \0"),
        )

    @property
    def _frame_bits(self) -> int:
        bits = self.rows * self.columns * self.samples * self.bits
        if not bits or not self.frames:
            raise ObjectRefused(UNKNOWN)
        return bits

    @property
    def frame_bytes(self) -> int:
        """Of one frame that begins at a byte of its own."""
        return (self._frame_bits + 7) // 8

    def native_bytes(self, found: int) -> int:
        """Of all frames, without padding.

        Args:
            found: bytes that the value has. Chroma of YBR_FULL_422 is there for every second
                pixel (PS3.5 8.2), but some write it for every one.

        Raises:
            ObjectRefused: the module does not say it.
        """
        bits = self._frame_bits * self.frames
        whole = (bits + 7) // 8
        if self.photometric_interpretation == "YBR_FULL_422" and found not in (whole, whole + 1):
            return (bits // 3 * 2 + 7) // 8
        return whole


def samples_length(item: ItemView, tag: int, found: int) -> int:
    """Bytes of the samples in a native value, without padding.

    Args:
        item: the data set or item that the element is in.
        tag: of pixels, of an overlay plane or a waveform.
        found: bytes that the value has.

    Raises:
        ObjectRefused: nothing says how many they are.
    """
    if tag == WAVEFORM_DATA:
        bits = _number(item, _CHANNELS) * _number(item, _WAVEFORM_SAMPLES)
        bits *= _number(item, _WAVEFORM_BITS)
    elif tag & 0xFF00FFFF == OVERLAY_DATA:
        group = tag & 0xFFFF0000
        frames = (item.text(group | 0x15) or "1").strip(" \0") or "1"
        bits = _number(item, group | 0x10) * _number(item, group | 0x11)
        bits *= int(frames) if frames.isdecimal() else 0
    else:
        return ImageShape.of(item, tag).native_bytes(found)
    if not bits:
        raise ObjectRefused(UNKNOWN)
    return (bits + 7) // 8


def has_samples(tag: int) -> bool:
    """Whether the element is one of these, or says where encapsulated frames are."""
    return (
        tag in (PIXEL_DATA, WAVEFORM_DATA, *_FLOAT_BITS, *OFFSET_TABLES)
        or tag & 0xFF00FFFF == OVERLAY_DATA
    )


def _number(item: ItemView, tag: int) -> int:
    """US or UL."""
    return int.from_bytes((item.raw(tag) or b"")[:4], "little")
