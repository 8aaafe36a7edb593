"""Whether the pixel data of described instances is what their attributes say (PS3.3 C.7.6.3)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from isocenter.core.errors import DataSetError

_FACTORS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_HALF_CHROMA = ("YBR_FULL_422", "YBR_PARTIAL_422")  # two of them for two pixels


def number_of(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """The value of an attribute that is one whole number of at least 1.

    Args:
        default: where it has no value; without it, it has to have one.

    Raises:
        DataSetError: it is no such number, or is lacking.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise DataSetError(f"there is pixel data, and {keyword} is lacking")
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise DataSetError(f"{keyword} is no number") from None
    if number < 1 or (not isinstance(value, str) and number != value):
        raise DataSetError(f"{keyword} is no whole number from 1 on")
    return number


def bits_of(dataset: Dataset) -> int:
    """How many bits the pixel data has where it is not compressed.

    Raises:
        DataSetError: the attributes that say so are lacking, or cannot be.
    """
    bits = number_of(dataset, "NumberOfFrames", 1)
    for keyword in _FACTORS:
        bits *= number_of(dataset, keyword)
    if dataset.get("PhotometricInterpretation") in _HALF_CHROMA:
        bits = bits * 2 // 3
    return bits


def check_native_length(dataset: Dataset, length: int) -> None:
    """Whether uncompressed Pixel Data is as long as its description says, or longer.

    Raises:
        DataSetError: it is shorter, so something is lacking; or the description is no good.
    """
    needed = (bits_of(dataset) + 7) // 8
    if length < needed:
        raise DataSetError(f"Pixel Data has {length} bytes; its description needs {needed}")


def check_float_pixels(dataset: Dataset, *, has_frames: bool) -> None:
    """Whether Float and Double Float Pixel Data have the length that their description says, and
    an instance has one kind of pixel data only.

    Args:
        has_frames: its Pixel Data is not in the data set.

    Raises:
        DataSetError: they have not.
    """
    found = [keyword for keyword in ("PixelData", *_FLOATS) if keyword in dataset]
    if len(found) + has_frames > 1:
        raise DataSetError(f"an instance has one kind of pixel data, not also {found[-1]}")
    for keyword in found:
        value = dataset[keyword].value
        if not isinstance(value, bytes | None):
            raise DataSetError(f"the VR of {keyword} is not for bytes")
        bits = _FLOATS.get(keyword)
        if bits is None:
            continue
        if number_of(dataset, "BitsAllocated") != bits:
            raise DataSetError(f"BitsAllocated is not {bits}, as {keyword} has it")
        length, needed = len(value or b""), bits_of(dataset) // 8
        if length != needed:
            raise DataSetError(f"{keyword} has {length} bytes; its description needs {needed}")
