"""Decoding pixel data to stored values, bounded before anything is allocated.

A hostile codestream may crash the codec; who decodes what came from outside does it in a child
process (:mod:`isocenter.core.isolation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.codestream import FrameSize, frame_size
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset, reading_attributes
from isocenter.core.errors import BoundsError, PixelError

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"

#: Syntaxes whose pixel data is not encapsulated.
NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE))

# Encapsulated syntax → pydicom's plugins in the order in which they are tried. Lossy JPEG has
# one only, because decoders differ there by rounding and colour conversion: Pillow makes RGB of
# YBR where an Adobe marker tells it to, and nobody hears of it; GDCM leaves colours as they are.
# GDCM refuses some JPEG-LS precisions, so it comes second there.
_PLUGINS: dict[str, tuple[str, ...]] = {
    JPEG_BASELINE: ("gdcm",),
    JPEG_EXTENDED: ("gdcm",),
    JPEG_LOSSLESS: ("gdcm",),
    JPEG_LOSSLESS_SV1: ("gdcm",),
    JPEG_LS_LOSSLESS: ("pyjpegls", "gdcm"),
    JPEG_LS_NEAR_LOSSLESS: ("pyjpegls", "gdcm"),
    JPEG_2000_LOSSLESS: ("pylibjpeg", "gdcm"),
    JPEG_2000: ("pylibjpeg", "gdcm"),
    HTJ2K_LOSSLESS: ("pylibjpeg",),
    HTJ2K_LOSSLESS_RPCL: ("pylibjpeg",),
    HTJ2K: ("pylibjpeg",),
    RLE_LOSSLESS: ("pylibjpeg", "pydicom"),
}

#: Transfer syntaxes that :func:`decode_frames` reads.
DECODABLE = NATIVE | _PLUGINS.keys()

#: Transfer syntaxes that lose information, or may have.
LOSSY = frozenset(
    (
        JPEG_BASELINE,
        JPEG_EXTENDED,
        "1.2.840.10008.1.2.4.53",
        "1.2.840.10008.1.2.4.55",
        JPEG_LS_NEAR_LOSSLESS,
        JPEG_2000,
        HTJ2K,
    )
)
# Hierarchical, and with arithmetic coding (ISO 10918-1 table B.1).
_UNREAD_PROCESSES = frozenset((0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_FLOATS: dict[str, np.dtype[np.generic]] = {
    "FloatPixelData": np.dtype("<f4"),
    "DoubleFloatPixelData": np.dtype("<f8"),
}
_NOT_CODEC_ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """Shape and type of pixel data (PS3.3 C.7.6.3).

    Attributes:
        keyword: Pixel Data, or one of its two float variants, as a keyword.
        dtype: of decoded stored values: unsigned or signed of Bits Allocated, or float;
            one bit becomes one byte.
    """

    keyword: str
    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric_interpretation: str
    dtype: np.dtype[np.generic]

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(rows, columns), with samples last where there are several."""
        shape = (self.rows, self.columns)
        return (*shape, self.samples) if self.samples > 1 else shape

    @property
    def native_bytes(self) -> int:
        """Length of the pixel data when it is not encapsulated, without padding."""
        bits = self.frames * self.rows * self.columns * self.samples * self.bits_allocated
        if self.photometric_interpretation == "YBR_FULL_422":  # two chroma samples for two pixels
            bits = bits // 3 * 2
        return (bits + 7) // 8


def pixel_layout(dataset: Dataset, bounds: Bounds = DEFAULT_BOUNDS) -> PixelLayout:
    """Shape and type of a data set's pixel data, checked; nothing is decoded.

    Raises:
        PixelError: there is no pixel data, or its description makes no sense.
        BoundsError: more pixels than ``bounds.max_pixels``.
    """
    with quiet_pydicom(), reading_attributes("the image"):
        keyword = next((name for name in ("PixelData", *_FLOATS) if name in dataset), "")
        if not keyword:
            raise PixelError("the data set has no pixel data")
        frames = _number(dataset, "NumberOfFrames", 1)
        samples = _number(dataset, "SamplesPerPixel", 1)
        float_type = _FLOATS.get(keyword)
        bits = _number(
            dataset, "BitsAllocated", 8 if float_type is None else 8 * float_type.itemsize
        )
        rows, columns = _number(dataset, "Rows", 0), _number(dataset, "Columns", 0)
        if rows * columns * frames > bounds.max_pixels:
            raise BoundsError(
                f"{rows} x {columns} x {frames} pixels; at most {bounds.max_pixels} are decoded"
            )
        if min(rows, columns, frames) < 1 or samples not in (1, 2, 3, 4):
            raise PixelError(
                f"an image of {rows} rows, {columns} columns, {frames} frames and "
                f"{samples} samples per pixel makes no sense"
            )
        signed = _number(dataset, "PixelRepresentation", 0) == 1
        return PixelLayout(
            keyword=keyword,
            frames=frames,
            rows=rows,
            columns=columns,
            samples=samples,
            bits_allocated=bits,
            bits_stored=_number(dataset, "BitsStored", bits),
            photometric_interpretation=str(dataset.get("PhotometricInterpretation") or ""),
            dtype=_integer_type(bits, signed) if float_type is None else float_type,
        )


def _number(dataset: Dataset, keyword: str, default: int) -> int:
    value = dataset.get(keyword)
    return default if value is None or value == "" else int(value)


def _integer_type(bits_allocated: int, signed: bool) -> np.dtype[np.generic]:
    if bits_allocated == 1:
        return np.dtype("u1")
    if bits_allocated not in (8, 16, 32, 64):
        raise PixelError(f"Bits Allocated is {bits_allocated}; 1, 8, 16, 32 and 64 can be read")
    return np.dtype(f"<{'i' if signed else 'u'}{bits_allocated // 8}")


def decode_frames(
    source: Dataset | Path,
    *,
    bounds: Bounds = DEFAULT_BOUNDS,
    frames: Sequence[int] | None = None,
) -> NDArray[np.generic]:
    """Stored values of an image: no rescale, no colour conversion, no overlay bits masked.

    Args:
        source: a data set with pixel data, or the path of a file.
        bounds: checked against the description, the codestreams and the length of the data
            before anything is allocated.
        frames: indices, from 0; None means all.

    Returns:
        (frames, rows, columns) or (frames, rows, columns, samples), colour by pixel. The type is
        exactly that of Bits Allocated and Pixel Representation; one-bit images are bytes 0 and
        1. The array may be read-only.

    Raises:
        BoundsError, PixelError: see :func:`pixel_layout`; PixelError also where the data is too
            short, the codestream contradicts the data set, or no decoder reads it.
    """
    dataset = read_dataset(source, bounds=bounds) if isinstance(source, Path) else source
    layout = pixel_layout(dataset, bounds)
    syntax = str(getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID") or "")
    if syntax not in DECODABLE:
        raise PixelError(f"no decoder for transfer syntax {syntax or '(none)'}")
    indices = range(layout.frames) if frames is None else frames
    if any(not 0 <= index < layout.frames for index in indices):
        raise PixelError(f"frames {list(frames or ())} are not all in 0..{layout.frames - 1}")
    with quiet_pydicom(), reading_attributes("the image"):
        if syntax in NATIVE:
            _check_native(dataset, layout)
            plugins: tuple[str, ...] = ("",)
        else:
            _check_encapsulated(dataset, layout, syntax)
            plugins = _PLUGINS[syntax]
        return _decode(dataset, layout, syntax, plugins, indices)


def _check_native(dataset: Dataset, layout: PixelLayout) -> None:
    value = dataset[layout.keyword].value
    found = len(value) if value is not None else 0
    if found < layout.native_bytes:
        raise PixelError(
            f"the pixel data has {found} bytes; {layout.frames} frames of {layout.rows} x "
            f"{layout.columns} need {layout.native_bytes}"
        )


def _check_encapsulated(dataset: Dataset, layout: PixelLayout, syntax: str) -> None:
    if layout.keyword != "PixelData":
        raise PixelError("float pixel data cannot be encapsulated (PS3.5 8.2)")
    count = 0
    for frame in encoded_frames(dataset, layout):
        count += 1
        if syntax == RLE_LOSSLESS:
            continue
        check_codestream(
            frame_size(frame),
            syntax,
            rows=layout.rows,
            columns=layout.columns,
            samples=layout.samples,
            bits_allocated=layout.bits_allocated,
            number=count,
        )
    if count < layout.frames:
        raise PixelError(f"the pixel data has {count} frames; the data set says {layout.frames}")


def check_codestream(
    size: FrameSize,
    syntax: str,
    *,
    rows: int,
    columns: int,
    samples: int,
    bits_allocated: int,
    number: int = 1,
) -> None:
    """Hold what an encoded frame says of itself against its data set and against our decoders.

    Raises:
        PixelError: it contradicts the data set, or no decoder reads it.
    """
    if (size.rows, size.columns) != (rows, columns):
        raise PixelError(
            f"frame {number} is encoded with {size.rows} x {size.columns} pixels; the data "
            f"set says {rows} x {columns}"
        )
    if size.components != samples or size.precision > bits_allocated:
        raise PixelError(
            f"frame {number} is encoded with {size.components} components of {size.precision} "
            f"bits; the data set says {samples} of {bits_allocated}"
        )
    if size.process in _UNREAD_PROCESSES:
        raise PixelError(
            "JPEG that is hierarchical or coded arithmetically cannot be decoded here "
            f"(its frame header is 0x{size.process:X})"
        )
    if syntax in (JPEG_BASELINE, JPEG_EXTENDED) and size.precision > 8:
        raise PixelError(
            f"JPEG with {size.precision} bits per sample cannot be decoded here; "
            "no decoder with a permissive licence reads it"
        )


def encoded_frames(dataset: Dataset, layout: PixelLayout) -> Iterable[bytes]:
    """The encoded frames of encapsulated pixel data (PS3.5 A.4), fragments joined."""
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frames: Iterable[bytes] = generate_frames(
        dataset.PixelData or b"", number_of_frames=layout.frames, extended_offsets=offsets
    )
    return frames


def _decode(
    dataset: Dataset,
    layout: PixelLayout,
    syntax: str,
    plugins: tuple[str, ...],
    indices: Sequence[int],
) -> NDArray[np.generic]:
    """With the first plugin that can; what they raise, panics included, becomes a PixelError."""
    reasons = []
    for plugin in plugins:
        try:
            return _decode_with(dataset, layout, syntax, plugin, indices)
        except _NOT_CODEC_ERRORS:
            raise
        except BaseException as error:  # PanicException of Rust codecs is no Exception
            reasons.append(f"{plugin or 'pydicom'}: {type(error).__name__}")
    raise PixelError(
        f"the pixel data in {UID(syntax).name} cannot be decoded ({'; '.join(reasons)})"
    )


def _decode_with(
    dataset: Dataset, layout: PixelLayout, syntax: str, plugin: str, indices: Sequence[int]
) -> NDArray[np.generic]:
    decoder = get_decoder(UID(syntax))
    all_frames = isinstance(indices, range) and len(indices) == layout.frames
    if syntax in NATIVE and all_frames:
        values, _ = decoder.as_array(dataset, raw=True)
        return _exact(values, layout).reshape(layout.frames, *layout.frame_shape)
    decoded = np.empty((len(indices), *layout.frame_shape), dtype=layout.dtype)
    if all_frames:
        arrays = decoder.iter_array(dataset, raw=True, decoding_plugin=plugin)
    else:
        arrays = decoder.iter_array(
            dataset, raw=True, decoding_plugin=plugin, indices=list(indices)
        )
    done = -1
    for done, (values, _) in enumerate(arrays):
        decoded[done] = _exact(values, layout)
    if done + 1 != len(indices):
        raise PixelError(f"{done + 1} frames were decoded where {len(indices)} belong")
    return decoded


def _exact(values: NDArray[np.generic], layout: PixelLayout) -> NDArray[np.generic]:
    """In the type of the layout; a codec's smaller type is widened, a larger one refused."""
    if values.dtype == layout.dtype:
        return values
    if not np.can_cast(values.dtype, layout.dtype, "same_kind"):
        raise PixelError(f"decoded as {values.dtype} where {layout.dtype} belongs")
    return values.astype(layout.dtype)


def has_lossy_history(dataset: Dataset) -> bool:
    """Whether the image was ever compressed with loss (PS3.3 C.7.6.1.1.5)."""
    syntax = str(getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID") or "")
    return str(dataset.get("LossyImageCompression") or "") == "01" or syntax in LOSSY
