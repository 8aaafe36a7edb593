"""Which ROIs are drawn, and what is said of the others."""

from __future__ import annotations

import numpy as np
import pytest

from isocenter.core.contours.options import RoiChoice
from isocenter.core.contours.selection import select
from isocenter.core.contours.structure_set import Contour, Roi

CLOSED = Contour(np.zeros((3, 3)), "CLOSED_PLANAR")


def rois(*names: str, **more: object) -> list[Roi]:
    return [Roi(i, name, (CLOSED,), **more) for i, name in enumerate(names)]  # type: ignore[arg-type]


def chosen(found: list[Roi], **choice: tuple[str, ...]) -> list[str]:
    return [roi.name for roi in select(found, RoiChoice(**choice)).chosen]


def test_skulls_are_ignored_in_any_case_unless_asked_for() -> None:
    found = rois("GTV", "SKULL_bone", "InnerSkull")
    assert chosen(found) == ["GTV"]
    assert chosen(found, ignore=()) == ["GTV", "SKULL_bone", "InnerSkull"]


def test_include_and_exclude_are_regular_expressions() -> None:
    found = rois("PTV_60", "PTV_50", "CTV", "ring")
    assert chosen(found, include=("^ptv",)) == ["PTV_60", "PTV_50"]
    assert chosen(found, include=("^ptv", "ctv"), exclude=("50$",)) == ["PTV_60", "CTV"]


def test_interpreted_types() -> None:
    found = [*rois("A", interpreted_type="PTV"), *rois("B", interpreted_type="ORGAN")]
    assert chosen(found, types=("ptv",)) == ["A"]


@pytest.mark.parametrize("kind", ["POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"])
def test_points_and_open_lines_are_skipped_and_reported(kind: str) -> None:
    (skipped,) = select([Roi(1, "iso", (Contour(np.zeros((1, 3)), kind),))], RoiChoice()).skipped
    assert skipped.reason == f"it has no closed contour, only 1 {kind}"


def test_an_roi_without_contours_is_skipped() -> None:
    (skipped,) = select([Roi(1, "empty")], RoiChoice()).skipped
    assert skipped.reason == "it has no contours"
