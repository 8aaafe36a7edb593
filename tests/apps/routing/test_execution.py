"""Runs: from a complete study to artifacts that are kept, published, used again and superseded."""

from __future__ import annotations

import pydicom
import pytest

from isocenter.apps.archive.models import Instance
from isocenter.apps.routing import artifacts
from isocenter.apps.routing.models import Artifact, QuarantineItem, Run, RunStep

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_study_with_a_structure_set_becomes_an_overlay_series(stored, apply, go, send_all, folder_node):
    apply()
    study, revision = stored()

    run = go(revision)

    assert (run.state, run.trace) == (Run.State.DONE, ""), run.reason
    outputs = list(artifacts.outputs_of(run))
    assert len(outputs) == len(study.phantom.images)
    assert {item.step.name for item in outputs} == {"burn_in"}
    assert all(item.state == Artifact.State.ACTIVE for item in outputs)
    before = Artifact.objects.filter(run=run, step__name="contours")
    assert {item.state for item in before} == {Artifact.State.INTERMEDIATE}
    in_archive = Instance.objects.filter(is_derived=True)
    assert set(in_archive.values_list("sop_uid", flat=True)) == {item.sop_uid for item in outputs}

    send_all(run)

    files = list(folder_node.rglob("*.dcm"))
    assert len(files) == len(outputs)
    assert {pydicom.dcmread(path).SOPInstanceUID for path in files} == {
        item.sop_uid for item in outputs
    }
    assert files[0].parent.parent.name == study.study_uid
    assert run.deliveries.get().state == "done"
