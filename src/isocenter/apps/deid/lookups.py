"""Who is behind a pseudonym, and which pseudonym somebody has. Every question is an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.documents import ProjectDocument
from isocenter.apps.deid.models import MapEntry, Project
from isocenter.apps.deid.queries import document_of, project
from isocenter.apps.deid.sealing import Sealer
from isocenter.apps.deid.store import Digests, opened
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import is_study_key, study_key
from isocenter.core.errors import ConfigurationError

_MOST = 100


@dataclass(frozen=True)
class Found:
    """A patient and their pseudonym.

    Attributes:
        pseudonym_id: new Patient ID.
        issuer, patient_id: the patient; hidden from ``repr``, and empty where they are known by
            a study, or by NETRT's hash alone.
        study_uid: where the patient is known by this study.
        origin: ``issued`` here, ``given`` by a list, ``netrt`` (the patient did not come yet), or
            ``computed`` (nothing is kept in this project).
    """

    pseudonym_id: str
    pseudonym_name: str
    origin: str
    created_at: datetime | None = None
    created_by: str = ""
    issuer: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)


def look_up(
    name: str,
    *,
    pseudonym: str | None = None,
    patient_id: str | None = None,
    issuer: str = "",
    actor: str,
) -> list[Found]:
    """Who has a pseudonym, or which pseudonym a patient has. Needs ``Right.REIDENTIFY``.

    Args:
        pseudonym: new Patient ID, or new Patient's Name; or
        patient_id: the original, or the Study Instance UID of who has none.
        issuer: of that Patient ID; empty: any.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: not one question, or the map cannot be opened.
    """
    if bool(pseudonym and pseudonym.strip()) == bool(patient_id and patient_id.strip()):
        raise ConfigurationError("ask either for a pseudonym or for a Patient ID")
    sealer = Sealer()
    item = project(name)
    secret = sealer.open_secret(item)
    if pseudonym and pseudonym.strip():
        found = _by_pseudonym(item, sealer, secret, pseudonym.strip())
    else:
        found = _by_patient(item, sealer, secret, PatientKey.of(issuer, patient_id))
    # Only pseudonyms that there are: what was asked for may be anything, a Patient ID as well.
    record(
        Kind.PATIENT_LOOKED_UP,
        actor=actor,
        project=name,
        asked_for="patient" if pseudonym and pseudonym.strip() else "pseudonym",
        pseudonyms=[one.pseudonym_id for one in found],
        found=len(found),
    )
    return found


def _by_pseudonym(item: Project, sealer: Sealer, secret: Secret, text: str) -> list[Found]:
    digests = Digests(secret)
    same = Q(pseudonym_id=text) | Q(pseudonym_name=text)
    rows = item.entries.filter(same).order_by("pk")[:_MOST]
    found = [_found(row, sealer, digests) for row in rows]
    if found:
        return found
    return [
        Found(row.pseudonym_id, row.pseudonym_name, "netrt", row.created_at)
        for row in item.legacy_entries.filter(same).order_by("pk")[:_MOST]
    ]


def _by_patient(item: Project, sealer: Sealer, secret: Secret, key: PatientKey) -> list[Found]:
    digests = Digests(secret)
    same = Q(id_digest=digests.patient_id(key))
    if key.issuer:
        listed = Q(patient_digest=digests.patient(PatientKey("", key.patient_id)), is_given=True)
        bound = Q(issuer_digest__in=("", digests.issuer(key.issuer)))
        same = Q(patient_digest=digests.patient(key)) | (listed & bound)
    study = Q(patient_digest=digests.patient(study_key(key.patient_id)))
    rows = item.entries.filter(same | study).order_by("pk")[:_MOST]
    found = [_found(row, sealer, digests) for row in rows]
    document = document_of(item)
    if not found and _is_computed(document):
        alias = KeyedPseudonyms(secret).alias_for(key, {})
        if alias is not None:
            found = [
                Found(
                    alias.patient_id, alias.patient_name, "computed",
                    issuer=key.issuer, patient_id=key.patient_id,
                )
            ]  # fmt: skip
    return found


def _is_computed(document: ProjectDocument) -> bool:
    """Whether patients of whom nothing is kept have pseudonyms all the same."""
    return document.pseudonyms.kind == "keyed" and not document.pseudonyms.remember


def _found(row: MapEntry, sealer: Sealer, digests: Digests) -> Found:
    key = opened(row, sealer, digests)
    by_study = is_study_key(key)
    return Found(
        row.pseudonym_id,
        row.pseudonym_name,
        "given" if row.is_given else "issued",
        row.created_at,
        row.created_by,
        issuer="" if by_study else key.issuer,
        patient_id="" if by_study else key.patient_id,
        study_uid=key.patient_id if by_study else "",
    )
