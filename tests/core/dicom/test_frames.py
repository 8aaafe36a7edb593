"""Where frames lie: against pydicom on real files, and on files that lie about themselves."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import pack_bits
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from isocenter.core.dicom.frames import FramePlace, find_frames, frame_bytes
from isocenter.core.dicom.image_header import read_image_header
from isocenter.core.dicom.part10 import DEFLATED_LITTLE, EXPLICIT_BIG
from isocenter.core.dicom.pixels import NATIVE
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import BoundsError, DicomError, PixelError


def image(
    frames: int = 3, *, rows: int = 4, columns: int = 5, bits: int = 16, syntax: str = ""
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    return dataset


def written(dataset: Dataset, folder: Path) -> Path:
    path = folder / "image.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def all_frames(path: Path) -> list[bytes]:
    found = find_frames(path)
    places = found.places(range(found.header.frames))
    return [frame_bytes(path, place) for place in places]


def test_every_frame_of_the_reference_data_is_where_pydicom_finds_it(shared_data: Path) -> None:
    compared = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or "malformed" in path.parts:
            continue
        try:
            found = find_frames(path)
        except DicomError:
            continue
        with quiet_pydicom():
            dataset = dcmread(path, force=True)
        expected = _frames_by_pydicom(dataset, found.header.syntax)
        if expected is None:
            continue
        assert all_frames(path) == expected, path
        compared += 1
    assert compared > 700


def _frames_by_pydicom(dataset: Dataset, syntax: str) -> list[bytes] | None:
    keyword = next(
        name for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if name in dataset
    )
    data, count = dataset[keyword].value, int(dataset.get("NumberOfFrames") or 1)
    if syntax in (DEFLATED_LITTLE, EXPLICIT_BIG):
        return None
    if syntax not in NATIVE:
        return list(generate_frames(data, number_of_frames=count))
    pixels = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    if dataset.get("BitsAllocated") == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        frames = (bits[index * pixels : (index + 1) * pixels] for index in range(count))
        return [bytes(pack_bits(frame, pad=False)) for frame in frames]
    size = pixels * (dataset.get("BitsAllocated") or {"F": 32, "D": 64}[keyword[0]]) // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        size = size // 3 * 2
    return [data[index * size : (index + 1) * size] for index in range(count)]


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 8, 16, 32]))
@settings(max_examples=60, deadline=None)
def test_native_frames_by_arithmetic(
    tmp_path_factory: pytest.TempPathFactory, frames: int, rows: int, columns: int, bits: int
) -> None:
    dataset = image(frames, rows=rows, columns=columns, bits=bits)
    rng = np.random.default_rng(frames * 1000 + rows * 100 + columns)
    if bits == 1:
        values = rng.integers(0, 2, (frames, rows * columns)).astype("u1")
        data = bytes(pack_bits(values.reshape(-1), pad=True))
        expected = [bytes(pack_bits(frame, pad=False)) for frame in values]
    else:
        values = rng.integers(0, 255, (frames, rows * columns)).astype(f"<u{bits // 8}")
        data = values.tobytes() + b"\0" * (values.nbytes % 2)
        expected = [frame.tobytes() for frame in values]
    dataset.PixelData = data
    dataset["PixelData"].VR = "OB" if bits <= 8 else "OW"
    assert all_frames(written(dataset, tmp_path_factory.mktemp("native"))) == expected


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("fragments", [1, 3])
def test_encapsulated_frames_by_table_and_by_going_through(
    tmp_path: Path, has_table: bool, fragments: int
) -> None:
    dataset = image(3, syntax=RLELossless)
    frames = [b"\xff\xd8\xff" + bytes([number]) * 37 for number in range(3)]
    dataset.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=has_table)
    dataset["PixelData"].VR = "OB"
    assert all_frames(written(dataset, tmp_path)) == [frame.ljust(40, b"\0") for frame in frames]


def test_encapsulated_frames_by_the_extended_table(tmp_path: Path) -> None:
    dataset = image(3, syntax=RLELossless)
    frames = [bytes([number]) * (11 + number) for number in range(3)]
    dataset.PixelData, dataset.ExtendedOffsetTable, _ = encapsulate_extended(frames)
    dataset.ExtendedOffsetTableLengths = struct.pack("<3Q", 11, 12, 13)
    dataset["PixelData"].VR = "OB"
    assert all_frames(written(dataset, tmp_path)) == frames  # their true lengths, no padding


@pytest.mark.parametrize("offsets", [(0, 0, 0), (0, 5, 10), (0, 1 << 30, 2), (40, 20, 0)])
def test_a_wrong_table_is_not_believed(tmp_path: Path, offsets: tuple[int, ...]) -> None:
    dataset = image(3, syntax=RLELossless)
    frames = [bytes([number]) * 40 for number in range(3)]
    data = encapsulate(frames, has_bot=True)
    dataset.PixelData = data[:8] + struct.pack("<3L", *offsets) + data[20:]
    dataset["PixelData"].VR = "OB"
    assert all_frames(written(dataset, tmp_path)) == frames


def test_fragments_that_nobody_can_tell_apart(tmp_path: Path) -> None:
    dataset = image(2, syntax=RLELossless)
    dataset.PixelData = encapsulate([b"\1" * 40, b"\2" * 40, b"\3" * 40], has_bot=False)
    dataset["PixelData"].VR = "OB"
    with pytest.raises(PixelError, match="cannot be told apart"):
        all_frames(written(dataset, tmp_path))


@pytest.mark.parametrize("cut", [3, 20, 60, 100])
def test_pixel_data_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    for data, syntax in (
        (bytes(120), ExplicitVRLittleEndian),
        (encapsulate([b"\1" * 40] * 3), RLELossless),
    ):
        dataset = image(3, syntax=syntax)
        dataset.PixelData = data
        dataset["PixelData"].VR = "OB"
        path = written(dataset, tmp_path)
        path.write_bytes(path.read_bytes()[:-cut])
        if syntax == RLELossless and cut < 8:
            continue  # the delimiter alone is missing in part
        with pytest.raises(PixelError):
            all_frames(path)


def test_a_fragment_of_a_length_that_the_file_has_not(tmp_path: Path) -> None:
    dataset = image(1, syntax=RLELossless)
    data = bytearray(encapsulate([b"\1" * 40], has_bot=False))
    data[12:16] = struct.pack("<L", 0xFFFFFFF0)
    dataset.PixelData = bytes(data)
    dataset["PixelData"].VR = "OB"
    with pytest.raises(PixelError, match="ends inside"):
        all_frames(written(dataset, tmp_path))


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"Rows": 0}, PixelError),
        ({"BitsAllocated": 12}, PixelError),
        ({"SamplesPerPixel": 9}, PixelError),
        ({"NumberOfFrames": 2_000_000_000, "Rows": 60000, "Columns": 60000}, DicomError),
        ({"NumberOfFrames": 900_000_000, "Rows": 60000, "Columns": 60000}, BoundsError),
    ],
)
def test_a_description_that_makes_no_sense(
    tmp_path: Path, attributes: dict[str, Any], error: type[Exception]
) -> None:
    dataset = image(1)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = bytes(40)
    dataset["PixelData"].VR = "OW"
    with pytest.raises(error):
        read_image_header(written(dataset, tmp_path))


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    dataset = image(2)
    dataset.PixelData = bytes(80)
    dataset["PixelData"].VR = "OW"
    found = find_frames(written(dataset, tmp_path))
    for index in (-1, 2):
        with pytest.raises(PixelError, match="frames 1 to 2"):
            found.places([index])


def test_implicit_vr_and_a_sequence_before_the_pixels(tmp_path: Path) -> None:
    dataset = image(1, syntax=ImplicitVRLittleEndian)
    item = Dataset()
    item.Rows = 7  # an icon's, say
    dataset.IconImageSequence = [item]
    dataset.PixelData = bytes(range(40))
    dataset["PixelData"].VR = "OW"
    path = written(dataset, tmp_path)
    assert read_image_header(path).rows == 4
    assert all_frames(path) == [bytes(range(40))]


def test_a_place_knows_its_size() -> None:
    assert FramePlace(((0, 10), (20, 5))).size == 15
    assert FramePlace(((3, 3),), first_bit=7, bits=10).size == 2


BROKEN_BYTES = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12
)


@given(BROKEN_BYTES, st.integers(0, 1 << 12), st.sampled_from(["rle", "bits", "extended"]))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_are_there_are_frames_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    cut: int,
    kind: str,
) -> None:
    dataset = image(3, syntax=ExplicitVRLittleEndian if kind == "bits" else RLELossless)
    frames = [bytes([number]) * 40 for number in range(3)]
    if kind == "bits":
        dataset.BitsAllocated = dataset.BitsStored = 1
        dataset.PixelData = bytes(8)
    elif kind == "rle":
        dataset.PixelData = encapsulate(frames, fragments_per_frame=2)
    else:
        table = encapsulate_extended(frames)
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = table
    dataset["PixelData"].VR = "OB"
    path = written(dataset, tmp_path_factory.getbasetemp())
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[132 + place % (len(data) - 132)] = value
    path.write_bytes(data[: max(140, len(data) - cut)] if cut < 200 else data)
    try:
        found = find_frames(path)
        some = range(min(found.header.frames, 5))
        made = [frame_bytes(path, place) for place in found.places(some)]
    except DicomError:
        return
    assert sum(map(len, made)) <= 6 * len(data)
