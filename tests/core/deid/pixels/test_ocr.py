"""Text of ten pixels and more is found: small, faint, dark, turned, on speckle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_text import Picture, picture

from isocenter.core.deid.pixels import Rectangle, clean
from isocenter.core.deid.pixels.ocr import TextDetector, available, default_detector
from isocenter.core.deid.pixels.views import find_text
from isocenter.core.deid.policy import Policy
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.dicom.reading import read_dataset


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    assert available() is None  # the lock has the extra deid-ocr
    return default_detector()


def covered(boxes: list[Rectangle], shown: Picture) -> list[float]:
    """The share of each text's ink that is in a box."""
    mask = np.zeros(shown.pixels.shape, bool)
    for box in boxes:
        mask[box.slices] = True
    shares = []
    for text in shown.texts:
        at = slice(text.y, text.y + text.height), slice(text.x, text.x + text.width)
        ink = shown.pixels[at] != shown.clean[at]
        shares.append(float(mask[at][ink].mean()))
    return shares


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
@pytest.mark.parametrize(
    ("kind", "contrast"),
    [
        ("black", 200),
        ("black", 20),
        ("bright", -200),
        ("speckle", 150),
        ("speckle", 50),
        ("anatomy", 40),
        ("anatomy", -60),
    ],
)
def test_every_text_is_covered(
    detector: TextDetector, kind: str, contrast: int, turned: bool
) -> None:
    shown = picture(11, kind=kind, contrast=contrast, turned=turned)
    shares = covered(find_text(shown.pixels, detector), shown)
    missed = [text for text, share in zip(shown.texts, shares, strict=True) if share < 0.99]
    assert shown.texts
    assert not missed


def test_the_text_of_a_real_ultrasound_image(
    detector: TextDetector, shared_data: Path, tmp_path: Path
) -> None:
    """Name, birth date and number of a test patient are in the first 40 rows."""
    source, out = shared_data / "us/GREYSCALE_IMAGE.dcm", tmp_path / "out.dcm"
    result = clean(source, out, Policy(pixels="ocr"), detector=detector)
    assert result.refused is None
    top = decode_frames(read_dataset(out))[0][:40]
    assert np.count_nonzero(top > 120) == 0


@pytest.mark.parametrize("name", ["ctbrain1.dcm", "ctbrain2.dcm"])
def test_pictures_without_text_stay(
    detector: TextDetector, shared_data: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out.dcm"
    result = clean(
        shared_data / "us_burned_in" / name, out, Policy(pixels="ocr"), detector=detector
    )
    assert result.regions == []
