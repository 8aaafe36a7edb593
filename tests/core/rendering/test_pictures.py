"""Whole pictures: colour, regions, sizes, mirrors, encodings; every real image is one."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import pixel_array

from isocenter.core.errors import ConfigurationError, DicomError, NotAllowed, PixelError
from isocenter.core.rendering import job, source
from isocenter.core.rendering.encoding import encoded
from isocenter.core.rendering.order import GIF, JPEG, PNG, Order, Viewport
from isocenter.core.rendering.placing import placed
from isocenter.core.rendering.source import open_image

CT = "ct_chest_ACRIN/image/001.dcm"


def drawn(path: Path, **order: Any) -> Image.Image:
    request = {"path": str(path), "order": Order(**order).as_dict(), "identified": True}
    return Image.open(io.BytesIO(job.render(request)[1]))


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_png_gives_the_same_pixels_back(
    rows: int, columns: int, is_colour: bool, seed: int
) -> None:
    shape = (rows, columns, 3) if is_colour else (rows, columns)
    levels = np.random.default_rng(seed).integers(0, 256, shape).astype("u1")
    picture = Image.open(io.BytesIO(encoded(levels, PNG, 90)))
    assert np.array_equal(np.asarray(picture), levels)


@pytest.mark.parametrize("quality", [1, 50, 90, 100])
def test_quality_makes_a_jpeg_larger_and_better(quality: int, shared_data: Path) -> None:
    exact = np.asarray(drawn(shared_data / CT, media_type=PNG)).astype(int)
    jpeg = np.asarray(drawn(shared_data / CT, media_type=JPEG, quality=quality)).astype(int)
    error = np.abs(jpeg - exact).mean()
    assert error < {1: 30, 50: 5, 90: 2, 100: 0.6}[quality]


@pytest.mark.parametrize(
    "name",
    [
        "transfer_syntaxes/pydicom/SC_rgb.dcm",
        "transfer_syntaxes/pydicom/SC_rgb_16bit.dcm",
        "transfer_syntaxes/pydicom/SC_rgb_rle.dcm",
        "transfer_syntaxes/pydicom/SC_rgb_expb_16bit.dcm",
        "transfer_syntaxes/pydicom/SC_ybr_full_422_uncompressed.dcm",
        "transfer_syntaxes/pydicom/US1_J2KR.dcm",
        "transfer_syntaxes/pydicom/JLSL_RGB_ILV0.dcm",
        "seg_sr_highdicom/sm_image.dcm",
    ],
)
def test_colour_as_pydicom_has_it(shared_data: Path, name: str) -> None:
    dataset = dcmread(shared_data / name, force=True)
    expected = pixel_array(dataset, index=0)
    if expected.dtype.itemsize > 1:
        expected = expected >> (dataset.BitsStored - 8)
    shown = np.asarray(drawn(shared_data / name, media_type=PNG, frames=(0,)))
    assert np.abs(shown.astype(int) - expected.astype(int)).max() <= 1


def test_a_palette_is_looked_up(shared_data: Path) -> None:
    from pydicom.pixels.processing import apply_color_lut

    path = shared_data / "transfer_syntaxes/pydicom/OBXXXX1A_rle_2frame.dcm"
    dataset = dcmread(path)
    expected = apply_color_lut(pixel_array(dataset, index=1), dataset) >> 8
    assert np.array_equal(np.asarray(drawn(path, media_type=PNG, frames=(1,))), expected)


def test_one_bit_images_are_black_and_white(shared_data: Path) -> None:
    shown = np.asarray(drawn(shared_data / "seg_dcmqi/liver.dcm", media_type=PNG, frames=(1,)))
    assert set(np.unique(shown)) <= {0, 255}
    assert shown.any()


@pytest.mark.parametrize(
    "name", ["parametric_map/parametric_map_float.dcm", "rt_plan_dose/rtdose.dcm"]
)
def test_floats_and_doses_have_their_whole_range(shared_data: Path, name: str) -> None:
    shown = np.asarray(drawn(shared_data / name, media_type=PNG))
    assert len(np.unique(shown)) > 50


GRADIENT = np.arange(12, dtype="u1").reshape(3, 4)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ((4, 3), GRADIENT),
        ((2, 3, 1, 0, 2, 3), GRADIENT[:, 1:3]),
        ((4, 3, 0, 0, -4, 3), GRADIENT[:, ::-1]),
        ((4, 3, 0, 0, 4, -3), GRADIENT[::-1]),
        ((2, 2, 2, 1, -2, -2), GRADIENT[1:3, 2:4][::-1, ::-1]),
        ((3, 2, 1, 1), GRADIENT[1:, 1:]),
        ((2, 2, 2, 1, 99, 99), GRADIENT[1:, 2:]),
    ],
)
def test_regions_and_mirrors(shared_data: Path, view: tuple[int, ...], expected: Any) -> None:
    header = open_image(shared_data / CT).header
    shown = placed(GRADIENT, Order(viewport=Viewport(*view)), header)
    assert np.array_equal(shown, expected)


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 90),
    st.integers(1, 90),
)
@settings(max_examples=100, deadline=None)
def test_a_picture_fits_its_viewport_in_its_proportions(
    width: int, height: int, rows: int, columns: int
) -> None:
    levels = np.zeros((rows, columns), "u1")
    shown = placed(levels, Order(viewport=Viewport(width, height)), None)  # type: ignore[arg-type]
    assert shown.shape[0] <= height
    assert shown.shape[1] <= width
    assert shown.shape[0] == height or shown.shape[1] == width
    factor = min(width / columns, height / rows)
    assert abs(shown.shape[0] - max(1, rows * factor)) <= 0.51
    assert abs(shown.shape[1] - max(1, columns * factor)) <= 0.51


def test_a_region_by_fractions(shared_data: Path) -> None:
    picture = drawn(shared_data / CT, media_type=PNG, region=(0.25, 0.5, 0.75, 1.0))
    whole = drawn(shared_data / CT, media_type=PNG)
    assert np.array_equal(np.asarray(picture), np.asarray(whole)[256:, 128:384])


def test_a_region_beside_the_image(shared_data: Path) -> None:
    with pytest.raises(PixelError, match="outside the image"):
        drawn(shared_data / CT, viewport=Viewport(5, 5, 600, 0, 5, 5))


def test_orders_that_cannot_be() -> None:
    for wrong in (
        {"media_type": "image/webp"},
        {"quality": 0},
        {"annotation": ("name",)},
        {"region": (0.5, 0.0, 0.5, 1.0)},
    ):
        with pytest.raises(ConfigurationError):
            Order(**wrong)  # type: ignore[arg-type]


def test_an_order_travels_as_json() -> None:
    import json

    from isocenter.core.rendering.order import Window

    order = Order(
        GIF, (1, 2), Window(1.5, 20, "SIGMOID"), Viewport(5, 6, 1, 2, -3, None), (0, 0, 1, 1), 7
    )
    assert Order.of(json.loads(json.dumps(order.as_dict()))) == order


def test_an_animation_of_too_many_pixels_is_refused(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MAX_ANIMATED_PIXELS", 100_000)
    path = shared_data / "us/examples_ybr_color.dcm"
    with pytest.raises(PixelError, match="smaller viewport"):
        drawn(path, media_type=GIF)
    assert drawn(path, media_type=GIF, viewport=Viewport(32, 32)).size[0] == 32


def test_who_may_not_know_gets_nothing_that_names_the_patient(
    shared_data: Path, tmp_path: Path
) -> None:
    dataset = dcmread(shared_data / CT)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(tmp_path / "burned.dcm")
    request = {"path": str(tmp_path / "burned.dcm"), "identified": False}
    with pytest.raises(NotAllowed):
        job.render(request | {"order": Order().as_dict()})
    with pytest.raises(NotAllowed):
        job.decode(request | {"frames": [0]})
    with pytest.raises(NotAllowed):
        job.plain_picture(tmp_path / "burned.dcm", Order(), identified=False)


def test_what_needs_no_decoder_is_the_same_picture_without_one(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [shared_data / CT, *sorted((shared_data / "transfer_syntaxes").rglob("*.dcm"))]
    expected = {}
    for path in paths:
        with contextlib.suppress(DicomError):
            request = {"path": str(path), "order": Order(media_type=PNG).as_dict()}
            expected[path] = job.render(request | {"identified": True})[1]

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr(source, "decode_frames", fail)
    monkeypatch.setattr(source, "read_dataset", fail)
    made = {}
    for path in paths:
        with contextlib.suppress(DicomError):
            made[path] = job.plain_picture(path, Order(media_type=PNG), identified=True)
    plain = {path: picture for path, picture in made.items() if picture is not None}
    assert shared_data / CT in plain
    assert len(plain) > 3
    assert plain.items() <= expected.items()
    with_name = Order(annotation=("technique",))
    assert job.plain_picture(shared_data / CT, with_name, identified=True) is None
    huge = Order(viewport=Viewport(16384, 16384))
    assert job.plain_picture(shared_data / CT, huge, identified=True) is None


def test_every_file_is_a_picture_or_a_sentence(shared_data: Path) -> None:
    refused: list[tuple[Path, str]] = []
    pictures = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file():
            continue
        try:
            drawn(path, media_type=JPEG, viewport=Viewport(32, 32), true_shape=True)
            pictures += 1
        except DicomError as error:
            refused.append((path, str(error)))
    assert pictures > 800
    assert not [path for path, said in refused if str(path) in said]
    assert not [path for path, _ in refused if "ct_chest_ACRIN/image" in str(path)]
