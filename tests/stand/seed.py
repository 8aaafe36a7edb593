"""Puts into a running platform what pages have to show: people, nodes, routes, every state.

    python tests/stand/seed.py DATA_DIR administrator|people|nodes|states ...

Rows that workers must leave alone have leases and jobs far in the future. Files of studies come
from ``odd_studies`` through ``isocenter import``. Prints what was made as JSON.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

PASSWORD = "correct-Horse-9-battery"
ROLES = ("administrator", "staff", "physician", "researcher", "student", "service")
LONG_NAME = "a-node-with-a-name-as-long-as-names-may-be-so-that-it-has-to-be"
STATE_ROOT = "1.2.826.0.1.3680043.8.498.78."
FAR = timedelta(days=3)

DOCUMENT = """\
nodes:
  - {{name: archive-node, kind: folder, folder: "{folder}/archive-node"}}
  - {{name: pacs-that-is-down, kind: dimse, ae_title: DOWN, host: 127.0.0.1, port: 1}}
  - {{name: {long_name}, kind: dimse, ae_title: LONG, host: {long_host}, port: 11112}}
pipelines:
  - name: overlay
    description: RT structure sets as overlay series, masks and pictures
    steps:
      - step: contours
        with: {{formats: [overlay, seg, nifti, preview]}}
      - step: burn_in
      - step: deliver
  - name: copy
    description: Everything to the research folder
    steps:
      - step: select
      - step: deliver
routes:
  - name: overlay
    description: Contours from planning to the viewer of the clinic
    condition: '"RTSTRUCT" in ModalitiesInStudy'
    pipeline: overlay
    priority: 10
    destinations: [archive-node]
  - name: night-copy
    description: Switched off while the research disk is changed
    enabled: false
    condition: '"MR" in ModalitiesInStudy and StudyDescription ~ "research"'
    pipeline: copy
    destinations: [archive-node, pacs-that-is-down]
"""


def people() -> dict[str, Any]:
    """One person of each role, and those that a list of people must bear."""
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    from isocenter.apps.accounts.models import Group, NodeGrant, User
    from isocenter.apps.accounts.services import create_token
    from isocenter.apps.transfers.models import Node

    now = timezone.now()
    secret = make_password(PASSWORD)

    def person(name: str, role: str, **values: Any) -> User:
        user, _ = User.objects.update_or_create(
            username=name,
            defaults={"role": role, "password": secret, "password_changed_at": now, **values},
        )
        return user

    users = {role: person(f"{role}-1", role, full_name=f"{role.title()} One") for role in ROLES}
    person("waiting-for-yes", "student", is_approved=False, full_name="Newly Registered")
    person("left-last-year", "staff", is_active=False, full_name="Former Colleague")
    person("x" * 64, "student", full_name="د. محمد عبد الرحمن الطويل جدا " * 4)
    nodes()
    group, _ = Group.objects.get_or_create(
        name="Radiotherapy research", defaults={"description": "Contours and doses of the trials"}
    )
    group.rights = ["transfer-identified"]
    group.save()
    group.members.set([users["researcher"], users["physician"]])
    Group.objects.get_or_create(name="Empty group")
    for node in Node.objects.all()[:2]:
        NodeGrant.objects.get_or_create(
            group=group, node=node, defaults={"can_be_destination": True}
        )
    administrator = users["administrator"]
    create_token(administrator, ["read"], name="expired", expires_at=now - FAR)
    create_token(administrator, ["upload", "run"], name="script on the console, never used")
    token = create_token(administrator, ["all"], name="tests")
    return {
        "token": token.text,
        "password": PASSWORD,
        "users": {role: user.username for role, user in users.items()},
    }


def administrator() -> dict[str, Any]:
    """One person, in an installation where nothing else is yet."""
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    from isocenter.apps.accounts.models import User

    user = User.objects.create(
        username="administrator-1",
        role="administrator",
        password=make_password(PASSWORD),
        password_changed_at=timezone.now(),
    )
    return {"password": PASSWORD, "users": {"administrator": user.username}}


def nodes() -> dict[str, Any]:
    """Nodes that work, that are down, that are switched off; routes and pipelines."""
    from django.conf import settings

    from isocenter.apps.routing.services import apply_yaml
    from isocenter.apps.transfers.models import Node

    folder = Path(settings.LAYOUT.root).parent / "nodes"
    (folder / "archive-node").mkdir(parents=True, exist_ok=True)
    text = DOCUMENT.format(
        folder=folder,
        long_name=LONG_NAME,
        long_host="very-long-host-name-of-a-system.radiology.university-hospital.example.org",
    )
    apply_yaml(text, where="the seed")
    Node.objects.filter(name=LONG_NAME).update(enabled=False)
    return {"nodes": list(Node.objects.values_list("name", flat=True))}


def states() -> dict[str, Any]:
    """A study for each state, a run for each state, deliveries and quarantine of each kind."""
    nodes()
    made = projects()
    study_of = _studies()
    runs = _runs(study_of["complete"])
    deliveries = _deliveries(runs["done"])
    items = _quarantine(runs["failed"], deliveries["failed"])
    return made | {
        "studies": {key: study.study_uid for key, study in study_of.items()},
        "runs": {key: str(run.pk) for key, run in runs.items()},
        "quarantine": {key: str(item.pk) for key, item in items.items()},
    }


def projects() -> dict[str, Any]:
    """A project that uses much of what there is, with patients and a history; and a bare one."""
    from isocenter.apps.deid import services
    from isocenter.apps.deid.models import Project

    if Project.objects.exists():
        return {}
    wishes = {
        "options": ["clean-descriptors", "retain-patient-characteristics"],
        "pixels": "templates",
        "faces": "refuse",
        "pseudonyms": {"kind": "pattern", "pattern": "{site}_{counter:04}", "site": "BERN"},
        "rules": "rules:\n  - name: trial's own number stays\n    tags: ClinicalTrialSubjectID\n"
        "    action: keep\n",
    }
    document = services.read_document(wishes)
    services.create_project(
        "lung-trial", document, description="Radiotherapy of the lung, arm B", actor="staff-1"
    )
    shifted = services.read_document({**wishes, "dates": "shift", "keep_ages": True})
    services.change_project("lung-trial", shifted, version=1, actor="administrator-1")
    lines = "\n".join(f"P{number:05},BERN_{number:04}" for number in range(1, 31))
    services.import_map("lung-trial", f"PatientID,Pseudonym\n{lines}\n", actor="staff-1")
    services.create_project("teaching", services.read_document({}), actor="staff-1")
    return {"projects": ["lung-trial", "teaching"]}


def _studies() -> dict[str, Any]:
    from django.utils import timezone

    from isocenter.apps.archive.models import Revision, Source, Study

    source, _ = Source.objects.get_or_create(
        kind="dimse", calling_ae_title="CT_PLANNING", called_ae_title="ISOCENTER",
        address="10.20.30.40",
    )  # fmt: skip
    now = timezone.now()
    waiting = [
        "series 1.2.826.0.1.3680043.8.498.900001 (CT), named by the RTSTRUCT, has 118 of 120"
        " instances",
        "the source node pacs counts 240 instances, 238 are here",
    ]
    flags = [{"code": "patient-mismatch", "text": "2 instances name another patient"}]
    made = {}
    for number, state in enumerate(Study.State.values):
        made[state], _ = Study.objects.update_or_create(
            study_uid=f"{STATE_ROOT}{number}",
            defaults={
                "patient_id": f"STATE-{number}",
                "patient_name": f"State^{state.title()}",
                "patient_birth_date": "19600229",
                "study_date": f"2026010{number + 1}",
                "study_time": "101500",
                "accession_number": f"ACC-{state.upper()}",
                "study_description": f"A study that is {state}",
                "modalities": ["CT", "RTSTRUCT"],
                "series_count": 2,
                "instance_count": 121,
                "source": source,
                "state": state,
                "waiting_for": waiting if state in ("waiting", "held") else [],
                "flags": flags if state == "held" else [],
                "warnings": ["SpecificCharacterSet is missing; ISO_IR 6 was assumed"],
                "first_received_at": now - timedelta(minutes=30 + number),
                "last_received_at": now - timedelta(minutes=number),
                "complete_at": now if state == "complete" else None,
                "revision": int(state == "complete"),
                "complete_revision": int(state == "complete"),
            },
        )
    Revision.objects.get_or_create(
        study=made["complete"], number=1,
        defaults={"reason": "forced", "missing": waiting, "instance_count": 121,
                  "digest": "0" * 64},
    )  # fmt: skip
    return made


def _runs(study: Any) -> dict[str, Any]:
    from django.utils import timezone

    from isocenter.apps.routing.models import Pipeline, Route, Run
    from isocenter.apps.routing.schedule import schedule_run

    now, pipeline = timezone.now(), Pipeline.objects.get(name="overlay")
    made = {}
    for number, state in enumerate(Run.State.values):
        is_over = state in ("done", "failed", "cancelled")
        run = Run.objects.create(
            route=Route.objects.get(name="overlay"), pipeline=pipeline, route_name="overlay",
            pipeline_name=pipeline.name, study=study, revision=study.revisions.get(number=1),
            definition={"steps": pipeline.steps, "destinations": ["archive-node"]},
            state=state, priority=number,
            started_at=None if state == "queued" else now - timedelta(minutes=4),
            finished_at=now - timedelta(minutes=1) if is_over else None,
            reason=_REASONS.get(state, ""), trace=_TRACE if state == "failed" else "",
            lease_token=uuid.uuid4() if state == "running" else None,
            lease_until=now + FAR if state == "running" else None,
            worker="worker-1" if state != "queued" else "",
        )  # fmt: skip
        _steps(run, state)
        if state == "queued":
            schedule_run(run.pk, run.priority, at=now + FAR)
        made[state] = run
    return made


_REASONS = {
    "failed": "step contours: ROI GTV_Mass_with_a_very_long_name_that_nobody_would_type_twice lies "
    "outside of every image of series 1.2.826.0.1.3680043.8.498.900001",
    "cancelled": "cancelled by staff-1",
}
_TRACE = "ContourError: ROI lies outside\n  at contours, series 2, item 17\n" * 12


def _steps(run: Any, state: str) -> None:
    from django.utils import timezone

    from isocenter.apps.routing.models import RunStep

    now = timezone.now()
    states = {
        "queued": ("pending", "pending", "pending"),
        "running": ("done", "running", "pending"),
        "done": ("done", "done", "done"),
        "failed": ("failed", "pending", "pending"),
        "cancelled": ("done", "cancelled", "cancelled"),
    }[state]
    for index, item in enumerate(run.definition["steps"], start=1):
        step = states[index - 1]
        RunStep.objects.create(
            run=run, index=index, name=item["step"], version="1", parameters=item.get("with", {}),
            state=step, progress={"done": 1.0, "running": 0.42}.get(step, 0.0),
            message="slice 50 of 120" if step == "running" else "", attempt=int(step != "pending"),
            started_at=now - timedelta(minutes=3) if step != "pending" else None,
            finished_at=now - timedelta(minutes=2) if step in ("done", "failed") else None,
            reason=_REASONS["failed"] if step == "failed" else "",
        )  # fmt: skip


def _deliveries(run: Any) -> dict[str, Any]:
    from django.utils import timezone

    from isocenter.apps.routing.models import Delivery
    from isocenter.apps.routing.schedule import schedule_delivery

    now = timezone.now()
    made = {}
    for state in Delivery.State.values:
        is_open = state in ("queued", "sending", "waiting")
        delivery = Delivery.objects.create(
            run=run, study=run.study, state=state, attempts=0 if state == "queued" else 3,
            node_name={"done": "archive-node", "failed": "pacs-that-is-down"}.get(
                state, f"node-{state}"
            ),
            next_attempt_at=now + FAR if state == "waiting" else None,
            lease_token=uuid.uuid4() if state == "sending" else None,
            lease_until=now + FAR if state == "sending" else None,
            finished_at=None if is_open else now,
            reason="connection refused by 127.0.0.1:1" if state in ("waiting", "failed") else "",
        )  # fmt: skip
        if state in ("queued", "waiting"):
            schedule_delivery(delivery.pk, 0, at=now + FAR)
        made[state] = delivery
    return made


def _quarantine(run: Any, delivery: Any) -> dict[str, Any]:
    from isocenter.apps.routing.models import QuarantineItem
    from isocenter.apps.routing.quarantining import (
        quarantine_delivery,
        quarantine_instance,
        quarantine_run,
    )

    made = {"run": quarantine_run(run), "delivery": quarantine_delivery(delivery)}
    import tempfile

    for number, state in enumerate(QuarantineItem.State.values):
        with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
            file.write(bytes(128) + b"DICM" + f"not a data set {number}".encode())
            file.flush()
            item = quarantine_instance(
                Path(file.name),
                "the data set ends inside element (7FE0,0010): 524288 bytes announced, 1024 there",
                study_uid=f"{STATE_ROOT}0",
                sop_uid=f"{STATE_ROOT}9.{number}",
                source="CT_PLANNING at 10.20.30.40",
            )
        QuarantineItem.objects.filter(pk=item.pk).update(state=state)
        made[f"instance-{state}"] = item
    return made


SECTIONS = {"administrator": administrator, "people": people, "nodes": nodes, "states": states}


def main() -> None:
    from isocenter.runtime.boot import boot

    data_dir, *sections = sys.argv[1:]
    boot(data_dir=Path(data_dir))
    made: dict[str, Any] = {}
    for section in sections:
        made.update(SECTIONS[section]())
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
