"""What goes wrong in a hospital: restarts, a destination that is down, studies that do not fit."""

from __future__ import annotations

import time

import pydicom
import pytest

pytestmark = pytest.mark.peers


def overlays(gateway, study):
    return gateway.wait_for_overlays(study)


def assert_each_slice_once(study, received):
    heights = sorted(float(ds.ImagePositionPatient[2]) for ds in received)
    assert heights == sorted(float(image.ImagePositionPatient[2]) for image in study.images)


def test_a_restart_before_completion_loses_no_study(make_gateway, phantom):
    gateway = make_gateway({"completion": {"debounce_s": 4}})
    study, files = phantom("restart-received")
    gateway.send(*files)
    gateway.platform.restart()

    assert_each_slice_once(study, overlays(gateway, study))


@pytest.mark.parametrize("part", ["receiver", "ingest", "worker-1", "database"])
def test_kill_of_a_part_while_a_study_goes_through(make_gateway, phantom, part):
    gateway = make_gateway()
    study, files = phantom(f"kill-{part}", slices=24, rows=256, columns=256, spacing_mm=1.0,
                           slice_distance_mm=7.0)  # fmt: skip
    gateway.send(*files)
    time.sleep(1.5)
    gateway.platform.kill(part)

    assert_each_slice_once(study, overlays(gateway, study))
    gateway.wait(
        "the end of the run",
        lambda: [r["state"] for r in gateway.runs(study.study_uid)] == ["done"],
    )


def test_a_restart_while_a_run_goes_on_finishes_it(make_gateway, phantom):
    gateway = make_gateway()
    study, files = phantom("restart-run", slices=40, rows=256, columns=256, spacing_mm=1.0,
                           slice_distance_mm=4.0)  # fmt: skip
    gateway.send(*files)
    gateway.wait("a run", lambda: gateway.runs(study.study_uid))
    gateway.platform.restart()

    assert_each_slice_once(study, overlays(gateway, study))
    assert [run["state"] for run in gateway.wait_for_runs(study.study_uid, 1)] == ["done"]


def test_a_destination_that_is_down_gets_everything_when_it_is_back(make_gateway, phantom):
    gateway = make_gateway()
    gateway.destination.stop()
    study, files = phantom("down")
    gateway.send(*files)
    gateway.wait_for_runs(study.study_uid, 1)
    time.sleep(2)
    gateway.platform.restart()
    gateway.destination.start()

    assert_each_slice_once(study, overlays(gateway, study))


def test_a_destination_that_stays_down_ends_in_quarantine_and_a_retry_sends(make_gateway, phantom):
    gateway = make_gateway({"delivery": {"attempts": 2, "first_wait_s": 0.5}})
    gateway.destination.stop()
    study, files = phantom("stays-down")
    gateway.send(*files)
    items = gateway.wait("quarantine", lambda: gateway.quarantined(study.study_uid))
    assert items[0]["kind"] == "delivery"
    assert "dest" in items[0]["reason"]

    gateway.destination.start()
    result = gateway.platform.cli("quarantine", "retry", items[0]["id"])
    assert result.returncode == 0, result.stdout + result.stderr

    assert_each_slice_once(study, overlays(gateway, study))
    gateway.wait("an empty quarantine", lambda: not gateway.quarantined(study.study_uid))


def test_no_structure_set_where_the_route_demands_one(make_gateway, phantom):
    gateway = make_gateway(condition='Modality == "CT"')
    study, files = phantom("none")
    gateway.send(*files[:-1])
    waiting = gateway.wait(
        "a word about what is missing", lambda: gateway.study(study.study_uid).get("waiting_for")
    )
    assert "RTSTRUCT" in str(waiting) or "quiet" in str(waiting)

    items = gateway.wait("quarantine", lambda: gateway.quarantined(study.study_uid))

    assert "RTSTRUCT" in items[0]["reason"]
    assert gateway.study(study.study_uid)["instances"] == len(files) - 1, "the study is kept"

    gateway.send(files[-1])
    assert_each_slice_once(study, overlays(gateway, study))


def test_structures_that_are_all_ignored(make_gateway, phantom):
    steps = [
        {"step": "contours", "with": {"formats": ["overlay"], "choice": {"exclude": [".*"]}}},
        {"step": "deliver"},
    ]
    gateway = make_gateway(steps=steps)
    study, files = phantom("ignored")
    gateway.send(*files)

    items = gateway.wait("quarantine", lambda: gateway.quarantined(study.study_uid))

    assert "ROI" in items[0]["reason"]
    assert gateway.study(study.study_uid)["instances"] == len(files)


def test_late_instances_while_a_run_goes_on(make_gateway, phantom):
    gateway = make_gateway()
    study, files = phantom("late-running", slices=40, rows=256, columns=256, spacing_mm=1.0,
                           slice_distance_mm=4.0)  # fmt: skip
    gateway.send(*files[2:])
    gateway.wait("a run", lambda: gateway.runs(study.study_uid))
    gateway.send(*files[:2])
    runs = gateway.wait_for_runs(study.study_uid, 2)

    assert {run["revision"] for run in runs} == {1, 2}
    received = gateway.wait(
        "both overlay series",
        lambda: len(got := gateway.destination.received(study.study_uid)) >= 38 + 40 and got,
    )
    sizes = sorted(
        sum(ds.SeriesInstanceUID == uid for ds in received)
        for uid in {ds.SeriesInstanceUID for ds in received}
    )
    assert sizes == [38, 40]


def test_several_series_and_structure_sets(make_gateway, shared_data):
    """CT, MR and PET of one patient, each with a structure set, in one go."""
    gateway = make_gateway()
    wanted = 0
    studies = set()
    for modality in ("CT", "MR_T1", "PET"):
        files = sorted((shared_data / "rt_STS_001" / modality).rglob("*.dcm"))
        wanted += len(files) - 1
        studies.add(str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID))
        gateway.send(*files)

    received = gateway.wait(
        f"{wanted} overlay images of {len(studies)} studies",
        lambda: (
            len(got := [d for uid in studies for d in gateway.destination.received(uid)]) >= wanted
            and got
        ),
    )
    assert len(received) == wanted
    drawn: dict[str, int] = {}
    for ds in received:
        bits = int(ds.overlay_array(0x6000).sum())
        drawn[ds.Modality] = drawn.get(ds.Modality, 0) + bits
    assert drawn == {"CT": 117145, "MR": 117145, "PT": 5095}
