"""The everyday path: whatever the order, the right overlay is at the destination, once."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

pytestmark = pytest.mark.peers


def overlay_bits(ds: pydicom.Dataset) -> np.ndarray:
    return ds.overlay_array(0x6000).astype(bool)


def expected_pixels(study, image) -> np.ndarray:
    """Pixel centres inside any structure that is not ignored; by formula, not by contour."""
    rows, columns = image.Rows, image.Columns
    spacing = float(image.PixelSpacing[0])
    x0, y0, z = map(float, image.ImagePositionPatient)
    x = x0 + np.arange(columns) * spacing
    y = (y0 + np.arange(rows) * spacing)[:, None]
    inside = np.zeros((rows, columns), bool)
    for structure in study.structures:
        section = structure.section_mm(z)
        if section is None or "skull" in structure.name.lower():
            continue
        a, b = section
        inside |= ((x - structure.centre_mm[0]) / a) ** 2 + (
            (y - structure.centre_mm[1]) / b
        ) ** 2 < 1
    return inside


def assert_right_overlay(study, received: list[pydicom.Dataset]) -> None:
    """Every slice is there once, with the source's pixels and the structures in the overlay."""
    by_height = {float(ds.ImagePositionPatient[2]): ds for ds in received}
    assert len(received) == len(study.images), "each slice once"
    assert len({ds.SOPInstanceUID for ds in received}) == len(received)
    assert len({ds.SeriesInstanceUID for ds in received}) == 1
    for image in study.images:
        ds = by_height[float(image.ImagePositionPatient[2])]
        assert ds.SOPClassUID == image.SOPClassUID
        assert ds.StudyInstanceUID == image.StudyInstanceUID
        assert ds.FrameOfReferenceUID == image.FrameOfReferenceUID
        assert ds.SOPInstanceUID != image.SOPInstanceUID
        assert list(ds.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        # The contour is a polygon of 180 points inside its ellipse: pixels at the edge may differ.
        differing = np.count_nonzero(overlay_bits(ds) ^ expected_pixels(study, image))
        assert differing <= 8
        changed = ds.pixel_array != image.pixel_array
        assert changed.any(), "the disclaimer is burnt in"
        rows = np.flatnonzero(changed.any(axis=1))
        assert rows.min() > image.Rows * 0.6, "nothing changed outside the corner"


@pytest.mark.parametrize("order", ["images first", "structure set first", "in the middle"])
def test_any_order_gives_one_right_overlay_series(gateway, phantom, order):
    study, files = phantom(order.replace(" ", "-"))
    images, structure_set = files[:-1], files[-1]
    parts = {
        "images first": [images, [structure_set]],
        "structure set first": [[structure_set], images],
        "in the middle": [images[:5], [structure_set], images[5:]],
    }[order]
    for part in parts:
        gateway.send(*part)

    assert_right_overlay(study, gateway.wait_for_overlays(study))
    row = gateway.study(study.study_uid)
    assert row["state"] == "complete"
    assert row["instances"] == len(files)
    assert not gateway.quarantined(study.study_uid)


def test_structure_set_long_after_the_images_makes_a_new_revision(gateway, phantom):
    study, files = phantom("long-after")
    gateway.send(*files[:-1])
    gateway.wait(
        "completion without structure set",
        lambda: gateway.study(study.study_uid).get("state") == "complete",
    )
    assert gateway.study(study.study_uid)["revision"] == 1
    assert gateway.runs(study.study_uid) == [], "no structure set, no run, nothing lost"

    gateway.send(files[-1], tool="storescu")

    assert_right_overlay(study, gateway.wait_for_overlays(study))
    assert gateway.study(study.study_uid)["revision"] == 2


def test_two_studies_interleaved_do_not_mix(gateway, phantom):
    first, first_files = phantom("first")
    second, second_files = phantom("second")
    mixed = [path for pair in zip(first_files, second_files, strict=True) for path in pair]
    gateway.send(*mixed)

    assert_right_overlay(first, gateway.wait_for_overlays(first))
    assert_right_overlay(second, gateway.wait_for_overlays(second))


def test_the_same_study_twice_is_stored_once_and_runs_once(gateway, phantom):
    study, files = phantom("twice")
    gateway.send(*files)
    gateway.wait_for_overlays(study)
    gateway.send(*files)
    gateway.wait(
        "duplicates seen",
        lambda: gateway.study(study.study_uid).get("state") == "complete",
    )

    assert gateway.study(study.study_uid)["instances"] == len(files)
    assert gateway.study(study.study_uid)["revision"] == 1
    assert len(gateway.runs(study.study_uid)) == 1
    assert_right_overlay(study, gateway.destination.received(study.study_uid))
    assert not gateway.quarantined(study.study_uid)


def test_a_changed_instance_goes_to_quarantine_and_the_first_one_stays(gateway, phantom):
    study, files = phantom("changed")
    gateway.send(*files)
    gateway.wait_for_overlays(study)
    changed = pydicom.dcmread(files[0])
    changed.SeriesDescription = "another"
    changed.save_as(files[0])
    gateway.send(files[0])

    items = gateway.wait(
        "quarantine of the changed instance", lambda: gateway.quarantined(study.study_uid)
    )

    assert len(items) == 1
    assert changed.SOPInstanceUID in str(items[0])
    assert "another data set" in items[0]["reason"]
    assert gateway.study(study.study_uid)["instances"] == len(files)


def test_late_instances_make_the_overlay_anew_and_the_old_one_is_superseded(gateway, phantom):
    study, files = phantom("late")
    gateway.send(*files[1:])
    gateway.wait_for_runs(study.study_uid, 1)
    gateway.send(files[0])
    runs = gateway.wait_for_runs(study.study_uid, 2)

    assert {run["revision"] for run in runs} == {1, 2}
    received = gateway.wait(
        "the new series",
        lambda: len(got := gateway.destination.received(study.study_uid)) >= 19 and got,
    )
    newest = max(
        {ds.SeriesInstanceUID for ds in received},
        key=lambda uid: sum(ds.SeriesInstanceUID == uid for ds in received),
    )
    assert_right_overlay(study, [ds for ds in received if ds.SeriesInstanceUID == newest])


def test_an_echoing_destination_starts_nothing(gateway, phantom):
    """A PACS that routes everything to us sends our own artifacts back."""
    study, files = phantom("echo")
    gateway.send(*files)
    gateway.wait_for_overlays(study)
    gateway.send(*gateway.destination.files(study.study_uid))
    extra, extra_files = phantom("echo-after")  # its end shows that the echo was taken in before
    gateway.send(*extra_files)
    gateway.wait_for_overlays(extra)

    assert len(gateway.runs(study.study_uid)) == 1
    assert gateway.study(study.study_uid)["revision"] == 1
    assert gateway.study(study.study_uid)["state"] == "complete"
    assert len(gateway.destination.received(study.study_uid)) == len(study.images)
    assert not gateway.quarantined(study.study_uid)
