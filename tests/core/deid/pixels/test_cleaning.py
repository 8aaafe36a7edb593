"""Burned-in text is blanked, every other value stays, and what nobody looked at stays here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detectors import BrightSpots, Nothing
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.deid.pixels import NeedKind, PixelResult, Rectangle, TemplateSet, clean
from isocenter.core.deid.pixels import cleaning as cleaning_module
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.dicom.pixels import JPEG_LS_LOSSLESS, decode_frames
from isocenter.core.dicom.reading import read_dataset

OCR, TEMPLATES, OFF = Policy(pixels="ocr"), Policy(pixels="templates"), Policy()
CT = "1.2.840.10008.5.1.4.1.1.2"
MakeImage = Callable[..., Path]


def noise(*shape: int, top: int = 200, kind: str = "u1") -> NDArray[Any]:
    return np.random.default_rng(7).integers(1, top, shape).astype(kind)


def with_word(frames: NDArray[Any], frame: int, x: int, y: int, value: int = 255) -> NDArray[Any]:
    """A white bar where a word would be."""
    marked = frames.copy()
    marked[frame, y : y + 12, x : x + 60] = value
    return marked


def is_blank(path: Path, frame: int, x: int, y: int) -> bool:
    return not decode_frames(read_dataset(path))[frame][y : y + 12, x : x + 60].any()


def unchanged_outside(before: Path, after: Path, result: PixelResult) -> bool:
    old, new = decode_frames(read_dataset(before)), decode_frames(read_dataset(after))
    outside = np.ones(old.shape[1:3], bool)
    for region in result.regions:
        outside[region.rectangle.slices] = False
    return bool((old[:, outside] == new[:, outside]).all())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.dcm"


def test_text_is_blanked_and_nothing_else(make_image: MakeImage, out: Path) -> None:
    source = make_image(with_word(noise(1, 96, 160), 0, 40, 20), BurnedInAnnotation="YES")
    result = clean(source, out, OCR, detector=BrightSpots())
    assert result.refused is None
    assert result.inspected
    assert [region.source for region in result.regions] == ["text"]
    assert is_blank(out, 0, 40, 20)
    assert unchanged_outside(source, out, result)
    assert read_dataset(out).BurnedInAnnotation == "NO"


def test_the_same_file_gives_the_same_bytes(make_image: MakeImage, tmp_path: Path) -> None:
    source = make_image(with_word(noise(2, 96, 160), 1, 40, 20))
    one, two = tmp_path / "one", tmp_path / "two"
    for target in (one, two):
        clean(source, target, OCR, detector=BrightSpots())
    assert one.read_bytes() == two.read_bytes()


def test_in_place(make_image: MakeImage) -> None:
    path = make_image(with_word(noise(1, 96, 160), 0, 40, 20))
    clean(path, path, OCR, detector=BrightSpots())
    assert is_blank(path, 0, 40, 20)


def test_text_on_any_frame_is_blanked_on_all(make_image: MakeImage, out: Path) -> None:
    still = np.repeat(noise(1, 96, 160), 9, axis=0)
    source = make_image(with_word(still, 6, 40, 20))
    detector = BrightSpots()
    result = clean(source, out, OCR, detector=detector)
    assert [region.frame for region in result.regions] == [6]
    assert all(is_blank(out, frame, 40, 20) for frame in range(9))
    assert unchanged_outside(source, out, result)


def test_equal_frames_are_looked_at_once(make_image: MakeImage, out: Path) -> None:
    one, many = BrightSpots(), BrightSpots()
    clean(make_image(noise(1, 96, 160)), out, OCR, detector=one)
    clean(make_image(np.repeat(noise(1, 96, 160), 20, axis=0)), out, OCR, detector=many)
    assert many.asked == one.asked


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_blank_is_black_in_signed_values_too(
    make_image: MakeImage, out: Path, photometric: str
) -> None:
    frames = (noise(1, 96, 160, top=2000, kind="i2") - 1000).astype("<i2")
    source = make_image(
        frames, bits_stored=12, PhotometricInterpretation=photometric, SOPClassUID=CT
    )
    box = Rectangle(10, 10, 30, 20)
    assert clean(source, out, OFF, user_rectangles=[box]).refused is None
    new = decode_frames(read_dataset(out))[0]
    darkest = frames.max() if photometric == "MONOCHROME1" else frames.min()
    assert (new[box.slices] == darkest).all()


def test_colour_by_plane_stays_right(make_image: MakeImage, out: Path) -> None:
    frames = noise(1, 32, 48, 3)
    planes = np.ascontiguousarray(np.moveaxis(frames, 3, 1))
    source = make_image(frames, PlanarConfiguration=1, PixelData=planes.tobytes())
    result = clean(source, out, OCR, user_rectangles=[Rectangle(2, 3, 5, 6)], detector=Nothing())
    new = read_dataset(out)
    assert new.PlanarConfiguration == 0
    assert unchanged_outside(source, out, result)
    assert not decode_frames(new)[0][3:9, 2:7].any()


def test_compressed_pixels_come_back_without_loss(make_image: MakeImage, out: Path) -> None:
    frames = noise(3, 64, 80, top=4000, kind="<u2")
    source = make_image(frames, bits_stored=12, syntax=JPEG_LS_LOSSLESS)
    result = clean(source, out, OCR, user_rectangles=[Rectangle(0, 0, 80, 9)], detector=Nothing())
    assert unchanged_outside(source, out, result)
    assert "LossyImageCompression" not in read_dataset(out)


def test_one_bit_pixels_over_the_borders_of_frames(make_image: MakeImage, out: Path) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (3, 7, 9)).astype("u1")
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    source = make_image(
        bits, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + bytes(len(packed) % 2)
    )
    box = Rectangle(1, 1, 3, 3)
    result = clean(source, out, OCR, user_rectangles=[box], detector=Nothing())
    assert result.refused is None
    assert unchanged_outside(source, out, result)
    assert not decode_frames(read_dataset(out))[:, 1:4, 1:4].any()


def test_palette_blanks_with_the_darkest_colour(make_image: MakeImage, out: Path) -> None:
    lut = np.arange(255, -1, -1, dtype=np.uint8).astype("<u2") * 257  # index 255 is black
    described = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 16]), ("Data", lut.tobytes()))
    }
    frames = noise(1, 40, 40, top=256)
    source = make_image(frames, PhotometricInterpretation="PALETTE COLOR", **described)
    box = Rectangle(4, 4, 8, 8)
    clean(source, out, OCR, user_rectangles=[box], detector=Nothing())
    assert (decode_frames(read_dataset(out))[0][box.slices] == frames.max()).all()


def test_measured_images_are_not_touched(make_image: MakeImage, out: Path) -> None:
    source = make_image(
        noise(1, 32, 32, kind="<u2"), SOPClassUID=CT, ImagePositionPatient=[0, 0, 0]
    )
    result = clean(source, out, OCR, detector=BrightSpots())
    assert result.need.kind is NeedKind.NONE
    assert out.read_bytes() == source.read_bytes()


def test_without_an_engine_the_object_is_refused(
    make_image: MakeImage, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning_module, "available", lambda: "there is no engine")
    result = clean(make_image(noise(1, 32, 32)), out, OCR)
    assert "there is no engine" in (result.refused or "")
    assert not out.exists()


def test_pixels_that_cannot_be_decoded_are_refused(make_image: MakeImage, out: Path) -> None:
    source = make_image(noise(1, 64, 64), Rows=640)
    result = clean(source, out, OCR, detector=BrightSpots())
    assert result.refused is not None
    assert not out.exists()


def test_off_refuses_what_says_that_it_identifies(make_image: MakeImage, out: Path) -> None:
    assert clean(make_image(noise(1, 8, 8), BurnedInAnnotation="YES"), out, OFF).refused
    assert clean(make_image(noise(1, 8, 8)), out, OFF).refused is None


def test_templates_blank_and_refuse_unknown_devices(make_image: MakeImage, out: Path) -> None:
    known = TemplateSet.from_text(
        "templates: [{name: a, model: [scanner], rows: [40], rectangles: [[0, 0, 999, 6]]}]"
    )
    frames = noise(1, 40, 64)
    source = make_image(frames, ManufacturerModelName="Scanner 5")
    result = clean(source, out, TEMPLATES, templates=known)
    assert [region.rectangle for region in result.regions] == [Rectangle(0, 0, 64, 6)]
    assert "BurnedInAnnotation" not in read_dataset(out)
    other = make_image(frames, ManufacturerModelName="Other")
    assert "no template" in (clean(other, out, TEMPLATES, templates=known).refused or "")


def test_overlays_go_or_are_cleaned(make_image: MakeImage, out: Path) -> None:
    plane = np.zeros((96, 160), bool)
    plane[20:32, 40:100] = True
    plane[90, 3] = True
    overlay = Dataset()
    overlay.add_new((0x6000, 0x0010), "US", 96)
    overlay.add_new((0x6000, 0x0011), "US", 160)
    overlay.add_new((0x6000, 0x0100), "US", 1)
    overlay.add_new((0x6000, 0x0102), "US", 0)
    overlay.add_new((0x6000, 0x3000), "OW", np.packbits(plane, bitorder="little").tobytes())
    path = make_image(noise(1, 96, 160))
    dataset = read_dataset(path)
    dataset.update(overlay)
    dataset.save_as(path)
    clean(path, out, OCR, detector=BrightSpots())
    assert (0x6000, 0x3000) not in read_dataset(out)
    graphics = OCR.with_options(Option.CLEAN_GRAPHICS)
    result = clean(path, out, graphics, detector=BrightSpots())
    kept = np.unpackbits(
        np.frombuffer(read_dataset(out)[0x6000, 0x3000].value, np.uint8), bitorder="little"
    ).reshape(96, 160)
    assert "overlay 6000" in {region.source for region in result.regions}
    assert kept.sum() == 1


def test_an_overlay_in_unused_bits_is_cleared(make_image: MakeImage, out: Path) -> None:
    frames = noise(1, 32, 32, top=4000, kind="<u2")
    hidden = frames.copy()
    hidden[0, 4:9, 4:20] |= 0x8000
    path = make_image(hidden, bits_stored=12, SOPClassUID=CT, ImagePositionPatient=[0, 0, 0])
    dataset = read_dataset(path)
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 15)
    dataset.save_as(path)
    for policy in (OCR, OFF):
        clean(path, out, policy, detector=Nothing())
        new = read_dataset(out)
        assert np.array_equal(decode_frames(new), frames)
        assert (0x6000, 0x0102) not in new


def test_heads_are_refused_where_the_policy_says_so(make_image: MakeImage, out: Path) -> None:
    path = make_image(
        noise(1, 8, 8, kind="<u2"), SOPClassUID=CT, Modality="CT", BodyPartExamined="HEAD",
        ImagePositionPatient=[0, 0, 0],
    )  # fmt: skip
    assert clean(path, out, Policy(faces="refuse")).refused
    assert clean(path, out, Policy(faces="deface")).refused
    assert clean(path, out, Policy(faces="deface"), defaces=True).refused is None
    assert clean(path, out, Policy(faces="ignore")).refused is None
