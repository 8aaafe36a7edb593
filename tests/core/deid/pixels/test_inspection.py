"""Which objects can carry text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isocenter.core.deid.pixels.inspection import Facts, NeedKind, needs
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE

_STORAGE = "1.2.840.10008.5.1.4.1.1."
SLICE = Facts(
    sop_class_uid=_STORAGE + "2",
    transfer_syntax_uid=EXPLICIT_LITTLE,
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    rows=512,
    columns=512,
    bits_allocated=16,
    photometric_interpretation="MONOCHROME2",
    pixel_keyword="PixelData",
    has_position=True,
)


def test_a_ct_slice_needs_nothing() -> None:
    assert needs(SLICE).kind is NeedKind.NONE


@pytest.mark.parametrize(
    "tail", ["1", "1.1", "3.1", "6.1", "7", "7.4", "12.1", "12.2", "20", "77.1.1", "77.1.4", "9.9"]
)
def test_classes_that_can_carry_text(tail: str) -> None:
    assert needs(replace(SLICE, sop_class_uid=_STORAGE + tail)).kind is NeedKind.OCR


@pytest.mark.parametrize(
    "sign",
    [
        {"burned_in_annotation": "YES"},
        {"captured": True},
        {"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE")},
        {"samples": 3},
        {"bits_allocated": 8},
        {"has_position": False},
        {"photometric_interpretation": "PALETTE COLOR"},
    ],
)
def test_a_screen_in_a_class_of_measured_values(sign: dict[str, object]) -> None:
    assert needs(replace(SLICE, **sign)).kind is NeedKind.OCR  # type: ignore[arg-type]


@pytest.mark.parametrize("tail", ["30", "66.4", "481.2"])
def test_maps_need_nothing(tail: str) -> None:
    assert needs(replace(SLICE, sop_class_uid=_STORAGE + tail, captured=True)).kind is NeedKind.NONE


def test_what_cannot_be_inspected() -> None:
    us = replace(SLICE, sop_class_uid=_STORAGE + "6.1")
    video = replace(us, transfer_syntax_uid="1.2.840.10008.1.2.4.102")
    label = replace(SLICE, sop_class_uid=_STORAGE + "77.1.6", image_type=("DERIVED", "LABEL"))
    for facts in (video, label, replace(us, pixel_keyword="FloatPixelData")):
        assert needs(facts, has_template=True).kind is NeedKind.REFUSE


def test_a_report_has_no_pixels() -> None:
    assert needs(replace(SLICE, pixel_keyword="")).kind is NeedKind.NONE
