"""Whose name the objects of a run bear: the patient's own, or the one that a project gives them.

A *domain* stands for what one version of a project makes of one patient. Artifacts of one domain
never stand for those of another, and after ``deidentify`` a run sees its own domain alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from isocenter.apps.deid import services as deid
from isocenter.apps.deid.services import ProjectOrder
from isocenter.apps.routing import artifacts
from isocenter.apps.routing.models import Artifact, Run, RunStep
from isocenter.apps.routing.pipelines import DEIDENTIFY
from isocenter.apps.routing.steps.base import (
    RECEIVED_KIND,
    Deidentified,
    InputInstance,
    StepRefused,
)
from isocenter.core.deid.guard_job import GuardInstructions
from isocenter.core.deid.policy import Option
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.dicom.header import Header
from isocenter.core.dicom.reading import header_of
from isocenter.core.errors import DicomError, IsocenterError

REPORT_NAME = "report.json"
_NO_DAY = datetime(1900, 1, 1)  # noqa: DTZ001 -- the zone is the run's; as the engine's dummy date


@dataclass(frozen=True)
class OpenProject:
    """A project, and what it calls the patient of a study."""

    order: ProjectOrder = field(repr=False)
    alias: PatientAlias = field(repr=False)

    @property
    def domain(self) -> str:
        """Names project, version, policy and alias to nobody who has not the secret."""
        order, alias = self.order, self.alias
        parts = (
            order.name,
            order.version,
            order.policy.digest(),
            alias.patient_id,
            alias.patient_name,
            alias.day_shift,
            alias.birth_date_rule,
            *order.words,
        )
        return order.secret.hash_text("domain\n" + "\n".join(map(str, parts)), 64)

    def new_uid(self, uid: str) -> str:
        """What becomes of a UID of an instance or a series."""
        if Option.RETAIN_UIDS in self.order.policy.options:
            return uid
        return self.order.secret.uid(uid, is_instance=True)

    def moment(self, moment: datetime) -> datetime:
        """A time of today as the objects of this patient may show it."""
        if self.order.policy.dates == "keep":
            return moment
        if self.order.policy.dates == "shift":
            return moment + timedelta(days=self.alias.day_shift)
        return _NO_DAY.replace(tzinfo=moment.tzinfo)


def open_project(name: str, paths: Iterable[Path]) -> OpenProject:
    """A project and the alias of the patient whose study these files are.

    Raises:
        StepRefused: there is no such project any more, it cannot be opened, or it has no
            pseudonym for the patient; the files are of several patients.
    """
    try:
        order = deid.order_for(name)
    except IsocenterError as error:
        raise StepRefused(f"project {name} cannot be used: {error}") from error
    key, attributes = _patient_of(paths)
    try:
        alias = order.pseudonyms.alias_for(key, attributes)
    except IsocenterError as error:
        raise StepRefused(f"project {name} cannot be used: {error}") from error
    if alias is None:
        why = "Patient ID is empty" if key.is_empty else "no pseudonym for this patient"
        raise StepRefused(f"project {name}: {why}")
    return OpenProject(order, alias)


def deidentified(
    run: Run, before: Iterable[RunStep], received: Sequence[InputInstance]
) -> Deidentified | None:
    """The de-identification that a step has behind it; None where there is none.

    Args:
        before: the steps before it.
        received: all instances of the revision.

    Raises:
        StepRefused: it did not take place, or its project is not what it was.
    """
    row = next((item for item in before if item.name == DEIDENTIFY), None)
    if row is None:
        return None
    stamp = row.result.get("data", {}).get("stamp", {})
    if row.state != RunStep.State.DONE or not stamp:
        raise StepRefused(
            f"step {row.index} {row.name} was not done, so nothing after it can be",
            hint=f"isocenter runs retry {run.pk} --from-step {row.index}",
        )
    found = open_project(stamp["project"], [item.path for item in received])
    if found.domain != stamp["domain"]:
        raise StepRefused(
            f"the project {stamp['project']} was changed since this run de-identified "
            f"(version {stamp['version']}, now {found.order.version})",
            hint=f"isocenter runs retry {run.pk} --from-step {row.index}",
        )
    made_at = found.moment(run.created_at)
    told = GuardInstructions(found.order.policy, found.alias, frozenset((f"{made_at:%Y%m%d}",)))
    return Deidentified(
        project=found.order.name,
        domain=found.domain,
        study_uid=found.new_uid(run.study.study_uid),
        references={
            found.new_uid(item.sop_uid): tuple(map(found.new_uid, item.references))
            for item in received
            if item.references
        },
        made_at=made_at,
        determinant=stamp["determinant"],
        excused={
            uid: tuple(group["where"])
            for group in row.result["data"]["excused"]
            for uid in group["objects"]
        },
        guard=told.sealed(),
    )


def report_before(determinant: str) -> dict[str, Any]:
    """What the report of an earlier de-identification says, for one that would be the same.

    Raises:
        StepRefused: it is gone.
    """
    found = Artifact.objects.filter(determinant=determinant, role=REPORT_NAME).order_by("pk").last()
    try:
        content = json.loads(artifacts.absolute(found).read_bytes()) if found else {}
        study: dict[str, Any] = content["studies"][0]
    except (OSError, ValueError, LookupError):
        raise StepRefused("the report of an earlier de-identification cannot be read") from None
    return study


def instances(run: Run, step: RunStep, deidentified: Deidentified) -> list[InputInstance]:
    """What ``deidentify`` made of the received instances, for the steps that follow.

    Args:
        step: that did it.

    Raises:
        StepRefused: a file is gone, or no DICOM.
    """
    made = artifacts.outputs_of(run).filter(
        uses__step=step, kind=RECEIVED_KIND, domain=deidentified.domain
    )
    found = [_instance(item, deidentified.references) for item in made]
    return sorted(found, key=lambda item: (item.series_uid, item.sop_uid))


def _instance(item: Artifact, references: Mapping[str, tuple[str, ...]]) -> InputInstance:
    path = artifacts.absolute(item)
    return InputInstance(
        path=path,
        sop_uid=item.sop_uid,
        series_uid=item.series_uid,
        sop_class_uid=item.sop_class_uid,
        modality=_header(path).modality,
        digest=item.digest,
        references=references.get(item.sop_uid, ()),
        artifact=item.pk,
    )


def _patient_of(paths: Iterable[Path]) -> tuple[PatientKey, dict[str, str]]:
    """Whose files these are, and what a pattern of pseudonyms may want to know.

    Raises:
        StepRefused: several patients', or a file cannot be read.
    """
    headers = sorted((_header(path) for path in paths), key=lambda header: header.sop_uid)
    keys = {PatientKey.of(item.issuer_of_patient_id, item.patient_id) for item in headers}
    known = {key for key in keys if key.issuer}
    if len({key.patient_id for key in keys}) == 1 and len(known) == 1:
        keys = known  # some objects of a study leave the issuer out
    if len(keys) != 1:
        raise StepRefused("the objects of the study are of different patients")
    attributes: dict[str, str] = {}
    for item in headers:
        said = {
            "PatientName": item.patient_name,
            "StudyDate": item.study_date,
            "StudyInstanceUID": item.study_uid,
        }
        attributes = {**{name: text for name, text in said.items() if text}, **attributes}
    return keys.pop(), attributes


def _header(path: Path) -> Header:
    try:
        return header_of(path)[1]
    except (DicomError, OSError):
        # Neither the name of the file nor what stands in it is said: either may be the patient's.
        raise StepRefused("a file of the study cannot be read, or is gone") from None
