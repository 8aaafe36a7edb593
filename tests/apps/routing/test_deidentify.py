"""Step ``deidentify``, and what may leave after it."""

from __future__ import annotations

import pydicom
import pytest

from isocenter.apps.archive.models import Instance
from isocenter.apps.deid.services import (
    ProjectDocument,
    create_project,
)
from isocenter.apps.routing.models import Run

from .identified import identified_study, survivors

pytestmark = pytest.mark.django_db(transaction=True)

DEIDENTIFY = {"step": "deidentify", "with": {"project": "trial"}}
PLAIN = [DEIDENTIFY, {"step": "deliver"}]


@pytest.fixture
def project(transactional_db):
    def make(name: str = "trial", **document):
        return create_project(name, ProjectDocument(**document), actor="test")

    return make


@pytest.fixture
def study(transactional_db, tmp_path):
    made = identified_study(tmp_path / "study")
    return made, made.take(*made.files)


def test_what_is_delivered_names_nobody(study, project, apply, go, send_all, folder_node):
    project()
    apply(steps=PLAIN)
    stored, revision = study

    run = go(revision)
    assert (run.state, run.trace) == (Run.State.DONE, ""), run.reason
    send_all(run)

    files = [path for path in folder_node.rglob("*") if path.is_file()]
    assert len(files) == len(stored.files)
    assert not survivors(files, stored)
    assert {pydicom.dcmread(path).PatientIdentityRemoved for path in files} == {"YES"}
    assert not Instance.objects.filter(is_derived=True).exists(), "not beside the study"
    assert "identifiers" in run.steps.get(name="deliver").message
