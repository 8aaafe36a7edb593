"""Grey levels by the formulas of the standard, and as pydicom has them on real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import ConfigurationError
from isocenter.core.rendering.grey import grey_levels, windowed
from isocenter.core.rendering.order import Window
from isocenter.core.rendering.source import open_image


def image(values: np.ndarray, **attributes: object) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * values.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, int(values.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


def levels(dataset: Dataset, folder: Path, window: Window | None = None) -> np.ndarray:
    path = folder / f"{len(list(folder.iterdir()))}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    opened = open_image(path)
    return grey_levels(opened, 0, opened.stored_values(0), window)


EVERY = np.arange(-512, 512, dtype="<i2").reshape(32, 32)
FINITE = st.floats(-5000, 5000)


@given(FINITE, st.floats(1, 5000))
def test_linear_is_that_of_the_standard(center: float, width: float) -> None:
    values = np.linspace(-3000, 3000, 97)
    shown = np.clip(windowed(values, Window(center, width)), 0, 1)
    for x, y in zip(values, shown, strict=True):  # PS3.3 C.11.2.1.2.1, its pseudo-code
        if x <= center - 0.5 - (width - 1) / 2:
            expected = 0.0
        elif x > center - 0.5 + (width - 1) / 2:
            expected = 1.0
        else:
            expected = (x - (center - 0.5)) / (width - 1) + 0.5
        assert y == pytest.approx(expected, abs=1e-9)


@given(FINITE, st.floats(0.01, 5000))
def test_linear_exact_and_sigmoid_are_those_of_the_standard(center: float, width: float) -> None:
    values = np.linspace(-3000, 3000, 97)
    exact = np.clip(windowed(values, Window(center, width, "LINEAR_EXACT")), 0, 1)
    assert np.allclose(exact, np.clip((values - center) / width + 0.5, 0, 1))
    sigmoid = windowed(values, Window(center, width, "SIGMOID"))
    with np.errstate(over="ignore"):
        assert np.allclose(sigmoid, 1 / (1 + np.exp(-4 * (values - center) / width)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_images_own_window_and_function(tmp_path: Path, function: str) -> None:
    dataset = image(
        EVERY,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=[40, 900],
        WindowWidth=[400, 10],
        VOILUTFunction=function,
    )
    dataset.PixelRepresentation = 1
    expected = apply_windowing(apply_modality_lut(EVERY, dataset), dataset)  # in its own range
    lowest, highest = -32768 * 2.0 - 100, 32767 * 2.0 - 100
    expected = 255 * (expected - lowest) / (highest - lowest)
    assert np.abs(levels(dataset, tmp_path) - expected).max() <= 0.51


def test_a_window_that_is_asked_for_goes_before_the_own(tmp_path: Path) -> None:
    dataset = image(EVERY, WindowCenter=40, WindowWidth=400)
    mine = levels(dataset, tmp_path, Window(0, 100))
    assert np.abs(mine - 255 * np.clip((EVERY + 0.5) / 99 + 0.5, 0, 1)).max() <= 0.51


def test_monochrome1_and_an_inverse_shape_are_white_where_values_are_low(tmp_path: Path) -> None:
    plain = levels(image(EVERY, WindowCenter=0, WindowWidth=500), tmp_path)
    for attributes in (
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
    ):
        dataset = image(EVERY, WindowCenter=0, WindowWidth=500, **attributes)
        assert np.array_equal(levels(dataset, tmp_path), 255 - plain)


def test_a_voi_lut_as_pydicom_applies_it(tmp_path: Path) -> None:
    item = Dataset()
    item.LUTDescriptor = [256, -128 & 0xFFFF, 12]
    item["LUTDescriptor"].VR = "SS"
    item.LUTDescriptor = [256, -128, 12]
    item.LUTData = [min(4095, (entry * entry) >> 4) for entry in range(256)]
    item["LUTData"].VR = "US"
    dataset = image(EVERY, VOILUTSequence=[item], WindowCenter=0, WindowWidth=50)
    expected = apply_voi_lut(EVERY, dataset).astype(float) / 4095 * 255
    assert np.abs(levels(dataset, tmp_path) - expected).max() <= 0.51


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_voi_lut_of_bytes_in_either_order(tmp_path: Path, syntax: str) -> None:
    values = np.arange(256, dtype="u1").reshape(16, 16)
    item = Dataset()
    item.LUTDescriptor = [256, 0, 16]
    item["LUTDescriptor"].VR = "US"
    order = "<u2" if syntax == ExplicitVRLittleEndian else ">u2"
    item.LUTData = np.arange(0, 65536, 256, dtype=order).tobytes()
    item["LUTData"].VR = "OW"
    dataset = image(values, VOILUTSequence=[item])
    dataset.file_meta.TransferSyntaxUID = syntax
    assert np.abs(levels(dataset, tmp_path) - 256.0 * values / 65535 * 255).max() <= 0.51


def test_a_modality_lut_in_place_of_slope_and_intercept(tmp_path: Path) -> None:
    values = np.arange(256, dtype="u1").reshape(16, 16)
    item = Dataset()
    item.LUTDescriptor = [256, 0, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [1000 + 3 * entry for entry in range(256)]
    item["LUTData"].VR = "US"
    item.ModalityLUTType = "US"
    dataset = image(values, ModalityLUTSequence=[item], WindowCenter=1380, WindowWidth=700)
    expected = np.clip((1000 + 3.0 * values - 1379.5) / 699 + 0.5, 0, 1) * 255
    assert np.abs(levels(dataset, tmp_path) - expected).max() <= 0.51


def test_bits_above_the_high_bit_are_no_values(tmp_path: Path) -> None:
    clean = np.arange(0, 4096, 4, dtype="<u2").reshape(32, 32)
    spoilt = clean | np.uint16(0x8000)
    both = [
        levels(image(v, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096), tmp_path)
        for v in (clean, spoilt)
    ]
    assert np.array_equal(*both)
    signed = np.arange(-512, 512, dtype="<i2").reshape(32, 32) & np.int16(0x0FFF)
    window = {"WindowCenter": 0, "WindowWidth": 1024}
    expected = levels(image(EVERY, **window), tmp_path)
    assert np.array_equal(
        levels(image(signed, BitsStored=12, HighBit=11, **window), tmp_path), expected
    )


def test_without_a_window_nearly_the_whole_range_is_shown(tmp_path: Path) -> None:
    values = np.linspace(100, 1100, 10_000).astype("<u2").reshape(100, 100)
    values[:10] = 60000
    shown = levels(image(values, PixelPaddingValue=60000), tmp_path)
    assert shown[10:].min() == 0
    assert shown[10:].max() == 255
    assert 120 < shown[10:].mean() < 136


@pytest.mark.parametrize("window", [("0", "0"), ("0", "-5"), ("", "")])
def test_a_stored_window_that_makes_no_sense_is_not_used(
    tmp_path: Path, window: tuple[str, str]
) -> None:
    dataset = image(EVERY, WindowCenter=window[0], WindowWidth=window[1])
    shown = levels(dataset, tmp_path)
    assert (shown.min(), shown.max()) == (0, 255)


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_of_one_value_is_a_picture_too(tmp_path: Path, value: int) -> None:
    assert len(np.unique(levels(image(np.full((8, 8), value, "u1")), tmp_path))) == 1


def test_windows_that_cannot_be() -> None:
    for wrong in (
        (0, 0.5, "LINEAR"),
        (0, 0, "SIGMOID"),
        (0, 1, "CUBIC"),
        (float("nan"), 1, "LINEAR"),
    ):
        with pytest.raises(ConfigurationError):
            Window(*wrong)


@pytest.mark.parametrize(
    "name",
    [
        "ct_chest_ACRIN/image/001.dcm",
        "rt_STS_001/CT/image/000000.dcm",
        "rt_STS_001/PET/image/000000.dcm",
        "rt_STS_001/MR_T1/image/000000.dcm",
        "xray/dx_image.dcm",
        "transfer_syntaxes/pydicom/MR_small.dcm",
        "transfer_syntaxes/pydicom/CT_small.dcm",
        "ct_abdomen_totalseg/image",
        "xray/RG1_J2KI.dcm",
        "mr_enhanced_small/emri_small.dcm",
    ],
)
def test_real_images_as_pydicom_shows_them(shared_data: Path, name: str) -> None:
    path = shared_data / name
    if path.is_dir():
        path = min(path.iterdir())
    if not path.exists():
        pytest.skip(f"{name} is not there")
    dataset = dcmread(path)
    if "PixelData" not in dataset:
        pytest.skip("no pixels in it")
    frame = decode_frames(path)[0].astype(float)
    slope = float(dataset.get("RescaleSlope", 1) or 1)
    modality = frame * slope + float(dataset.get("RescaleIntercept", 0) or 0)
    opened = open_image(path)
    window = _first_window(dataset) or Window(float(modality.mean()), 2 * float(modality.std()) + 1)
    given_window = window if _first_window(dataset) is None else None
    shown = grey_levels(opened, 0, opened.stored_values(0), given_window).astype(float)
    expected = 255 * np.clip(windowed(modality, window), 0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = 255 - expected
    if "VOILUTSequence" in dataset:
        pytest.skip("a table goes before its window")
    assert np.abs(shown - expected).max() <= 0.51


def _first_window(dataset: Dataset) -> Window | None:
    center, width = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    if center is None or width is None:
        return None
    first = [float(v[0]) if hasattr(v, "__len__") else float(v) for v in (center, width)]
    return Window(*first, str(dataset.get("VOILUTFunction") or "LINEAR"))
