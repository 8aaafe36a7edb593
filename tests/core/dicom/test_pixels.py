"""Decoding: what EXPECTED.md of the reference data says, and what has to be refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.codestream import FrameSize, frame_size
from isocenter.core.dicom.decodable import check_decodable
from isocenter.core.dicom.frames import find_frames
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.dicom.pixels import (
    DECODABLE,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    NATIVE,
    RLE_LOSSLESS,
    decode_frames,
    encoded_frames,
    has_lossy_history,
    pixel_layout,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import header_of, read_dataset
from isocenter.core.errors import BoundsError, DicomError, PixelError

# Syntaxes that pydicom, DCMTK and GDCM have in common with us and that lose nothing.
LOSSLESS_OF_CT_IMAGE = [
    "JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90",
    "JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80",
    "JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70",
    "JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57",
    "RLELosslessTransferSyntax_1.2.840.10008.1.2.5",
    "BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2",
    "DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99",
    "LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2",
]


@pytest.fixture
def syntaxes(shared_data: Path) -> Path:
    return shared_data / "transfer_syntaxes"


@pytest.mark.parametrize("name", LOSSLESS_OF_CT_IMAGE)
def test_one_image_in_all_lossless_syntaxes(syntaxes: Path, name: str) -> None:
    values = decode_frames(syntaxes / "ctimage_all" / f"CTImage.dcm_{name}.dcm")

    assert values.dtype == np.dtype("<i2")
    assert values.shape == (1, 512, 512)
    assert hashlib.sha1(values.tobytes()).hexdigest()[:10] == "eb5b3a66f3"


def test_decoders_agree(sample_files: list[Path]) -> None:
    """With every other permissive decoder that pydicom has for the file."""
    checked = 0
    for path in sample_files:
        try:
            if header_of(path)[0].transfer_syntax_uid in NATIVE:
                continue
            dataset = read_dataset(path)
            values = decode_frames(dataset)
        except DicomError:
            continue
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        decoder = get_decoder(syntax)
        for plugin in decoder.available_plugins or ("",):
            try:
                with quiet_pydicom():
                    theirs, _ = decoder.as_array(dataset, raw=True, decoding_plugin=plugin)
            except Exception:
                continue  # which files they cannot read is their affair
            if syntax == JPEG_BASELINE:  # decoders may round differently
                assert np.abs(values.astype(int) - theirs.reshape(values.shape)).max() <= 2, path
            else:
                assert np.array_equal(values, theirs.reshape(values.shape)), (path, plugin)
            checked += 1

    assert checked > 80


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_twelve_bit_jpeg_says_why_not(syntaxes: Path, name: str) -> None:
    with pytest.raises(PixelError, match=r"12 bits per sample.*permissive licence"):
        decode_frames(syntaxes / "pydicom" / name)


def test_what_is_said_to_be_decodable_is_decoded(sample_files: list[Path]) -> None:
    for path in sample_files:
        try:
            found = find_frames(path)
        except DicomError:
            continue  # no image
        try:
            check_decodable(found)
        except PixelError:
            with pytest.raises(DicomError):
                decode_frames(path, frames=[0])
        else:
            decode_frames(path, frames=[0])


def test_arithmetic_coding_says_why_not(syntaxes: Path) -> None:
    dataset = read_dataset(syntaxes / "pydicom" / "SC_rgb_jpeg_dcmtk.dcm")
    frame = next(iter(encoded_frames(dataset, pixel_layout(dataset))))
    assert frame_size(frame).process == 0xC0

    dataset.PixelData = encapsulate([frame.replace(b"\xff\xc0\x00\x11", b"\xff\xc9\x00\x11")])

    with pytest.raises(PixelError, match="arithmetically"):
        decode_frames(dataset)


def test_a_syntax_that_nobody_decodes(syntaxes: Path) -> None:
    name = "CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm"

    with pytest.raises(PixelError, match="no decoder for transfer syntax"):
        decode_frames(syntaxes / "ctimage_all" / name)


def test_colours_are_what_the_data_set_says(syntaxes: Path) -> None:
    """An Adobe marker in the codestream makes some decoders turn YBR into RGB unasked."""
    dataset = read_dataset(syntaxes / "pydicom" / "SC_rgb_jpeg_dcmtk.dcm")
    frame = next(iter(encoded_frames(dataset, pixel_layout(dataset))))
    plain = decode_frames(dataset)
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"

    dataset.PixelData = encapsulate([frame[:2] + marker + frame[2:]])

    assert dataset.PhotometricInterpretation == "YBR_FULL"
    assert np.array_equal(decode_frames(dataset), plain)
    assert plain[0, 0, 0].tolist() == [76, 85, 255]  # red


def test_single_frames(shared_data: Path) -> None:
    for name in ("emri_small.dcm", "emri_small_RLE.dcm", "emri_small_jpeg_ls_lossless.dcm"):
        dataset = read_dataset(shared_data / "mr_enhanced_small" / name)
        values = decode_frames(dataset)

        assert values.shape == (10, 64, 64)
        assert np.array_equal(decode_frames(dataset, frames=[7, 2]), values[[7, 2]])
        with pytest.raises(PixelError, match=r"0\.\.9"):
            decode_frames(dataset, frames=[10])


def test_one_bit_becomes_one_byte(shared_data: Path) -> None:
    values = decode_frames(shared_data / "seg_dcmqi" / "liver.dcm")

    assert values.dtype == np.uint8
    assert int(values.sum()) == 107098


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("parametric_map_float.dcm", "<f4"), ("parametric_map_double_float.dcm", "<f8")],
)
def test_floats(shared_data: Path, name: str, dtype: str) -> None:
    assert decode_frames(shared_data / "parametric_map" / name).dtype == np.dtype(dtype)


def test_a_native_image(image: Callable[..., Dataset]) -> None:
    values = decode_frames(image())

    assert np.array_equal(values, np.arange(-12, 12, dtype="<i2").reshape(1, 4, 6))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": 0}, "makes no sense"),
        ({"NumberOfFrames": -1}, "makes no sense"),
        ({"SamplesPerPixel": 9}, "makes no sense"),
        ({"BitsAllocated": 12}, "Bits Allocated is 12"),
        ({"NumberOfFrames": 2}, "48 bytes.*need 96"),
        ({"Rows": 5}, "48 bytes.*need 60"),
        ({"PixelData": b""}, "0 bytes"),
    ],
)
def test_descriptions_that_are_wrong(
    image: Callable[..., Dataset], attributes: dict[str, object], reason: str
) -> None:
    with pytest.raises(PixelError, match=reason):
        decode_frames(image(**attributes))


def test_no_pixels(image: Callable[..., Dataset]) -> None:
    dataset = image()
    del dataset.PixelData

    with pytest.raises(PixelError, match="no pixel data"):
        decode_frames(dataset)


def test_bounds_come_before_allocation(image: Callable[..., Dataset]) -> None:
    with pytest.raises(BoundsError, match="65535 x 65535 x 99999"):
        decode_frames(image(Rows=65535, Columns=65535, NumberOfFrames=99999))
    with pytest.raises(BoundsError):
        decode_frames(image(), bounds=Bounds(max_pixels=23))


def compressed(image: Callable[..., Dataset], syntax: str, plugin: str) -> Dataset:
    dataset = image()
    dataset.compress(UID(syntax), encoding_plugin=plugin, generate_instance_uid=False)
    return dataset


def test_a_codestream_that_lies_about_its_size(image: Callable[..., Dataset]) -> None:
    dataset = compressed(image, JPEG_LS_LOSSLESS, "pyjpegls")
    dataset.PixelData = dataset.PixelData.replace(
        b"\xff\xf7\x00\x0b\x10\x00\x04\x00\x06", b"\xff\xf7\x00\x0b\x10\xff\xff\xff\xff"
    )

    with pytest.raises(PixelError, match="65535 x 65535 pixels; the data set says 4 x 6"):
        decode_frames(dataset)


def test_fewer_frames_than_promised(image: Callable[..., Dataset]) -> None:
    dataset = compressed(image, JPEG_LS_LOSSLESS, "pyjpegls")
    dataset.NumberOfFrames = 2

    with pytest.raises(DicomError):
        decode_frames(dataset)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1))
def test_broken_codestreams_end_in_a_dicom_error_or_pixels(
    image: Callable[..., Dataset], changes: list[tuple[float, int]]
) -> None:
    dataset = compressed(image, RLE_LOSSLESS, "pylibjpeg")
    data = bytearray(dataset.PixelData)
    for where, byte in changes:
        data[int(where * len(data))] = byte
    dataset.PixelData = bytes(data)

    try:
        assert decode_frames(dataset).shape == (1, 4, 6)
    except DicomError:
        return


@given(st.binary(max_size=100))
def test_any_codestream(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\xff\x4f\xff\x51"):
        try:
            frame_size(start + data)
        except PixelError:
            continue


def test_frame_size_of_jpeg_2000_in_its_boxes(syntaxes: Path) -> None:
    dataset = read_dataset(syntaxes / "pydicom" / "MR_small_jp2klossless.dcm")
    frame = next(iter(encoded_frames(dataset, pixel_layout(dataset))))

    boxes = b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x00jp2c"

    assert frame_size(frame) == frame_size(boxes + frame) == FrameSize(64, 64, 1, 16)


def test_lossy_history(image: Callable[..., Dataset]) -> None:
    lossy_syntax = image()
    lossy_syntax.file_meta.TransferSyntaxUID = JPEG_BASELINE

    assert has_lossy_history(image(LossyImageCompression="01"))
    assert has_lossy_history(lossy_syntax)
    assert not has_lossy_history(image(LossyImageCompression="00"))


def test_the_native_syntaxes_are_decodable() -> None:
    assert {IMPLICIT_LITTLE, EXPLICIT_LITTLE} <= DECODABLE


def test_no_codec_under_the_gpl_is_loaded() -> None:
    code = (
        "import sys, isocenter.core.dicom.pixels, pydicom.pixels.decoders.pylibjpeg;"
        "sys.exit('libjpeg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
