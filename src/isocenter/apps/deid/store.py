"""The pseudonym map of a project in the database. It is locked by its project's row, so that two
workers never give one pseudonym to two patients, or one patient two."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from copy import copy

from django.db import transaction

from isocenter.apps.deid.models import LegacyEntry, MapEntry, Project
from isocenter.apps.deid.sealing import Sealer
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import Pseudonym, PseudonymEntry, is_study_key
from isocenter.core.errors import ConfigurationError, NotFound


class Digests:
    """How a map names patients and issuers: keyed, so that nobody without the secret can try."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret.derive("pseudonym map")

    def patient(self, key: PatientKey) -> str:
        return self._of("patient", key.text)

    def patient_id(self, key: PatientKey) -> str:
        """Of the Patient ID alone; of a study's UID for who is known by a study."""
        return self._of("study" if is_study_key(key) else "id", key.patient_id)

    def issuer(self, issuer: str) -> str:
        return self._of("issuer", issuer)

    def legacy(self, hashed: str) -> str:
        return self._of("legacy", hashed)

    def _of(self, purpose: str, text: str) -> str:
        return self._secret.hash_text(f"{purpose} {text}", 64)


class DatabaseStore:
    """The :class:`~isocenter.core.deid.pseudonyms.store.PseudonymStore` of a project."""

    def __init__(
        self, project: Project, secret: Secret | None = None, *, first: int = 1, actor: str = ""
    ) -> None:
        """
        Args:
            secret: of the project, where it is open already.
            first: lowest number to use.
            actor: for ``created_by``; empty: a run.

        Raises:
            ConfigurationError: the project's secret cannot be opened.
        """
        self._project_id = project.pk
        self._sealer = Sealer()
        self.digests = Digests(secret or self._sealer.open_secret(project))
        self._first, self._actor = first, actor
        self._finds_issued = True

    def of_lists(self) -> DatabaseStore:
        """The same map as a list: a patient without issuer is found in it if they were given one,
        not if one was issued, so that this is never taken for another issuer's patient."""
        store = copy(self)
        store._finds_issued = False
        return store

    def find(self, key: PatientKey) -> PseudonymEntry | None:
        row = self._row(key)
        if row is None or not (row.is_given or self._finds_issued or key.issuer):
            return None
        return _entry(key, row)

    def taken(self) -> Iterable[str]:
        given = MapEntry.objects.filter(project_id=self._project_id)
        legacy = LegacyEntry.objects.filter(project_id=self._project_id)
        return set(given.values_list("pseudonym_id", flat=True)) | set(
            legacy.values_list("pseudonym_id", flat=True)
        )

    def legacy(self, hashed: str) -> Pseudonym | None:
        row = LegacyEntry.objects.filter(
            project_id=self._project_id, digest=self.digests.legacy(hashed)
        ).first()
        return None if row is None else Pseudonym(row.pseudonym_id, row.pseudonym_name)

    def issue(
        self, key: PatientKey, compose: Callable[[int], Pseudonym], first: int = 1
    ) -> PseudonymEntry:
        """
        Raises:
            NotFound: the project is gone.
        """
        with transaction.atomic():
            project = self._locked()
            row = self._row(key)
            if row is not None:
                return _entry(key, row)
            number = max(first, self._first, project.counter + 1)
            while self._is_taken(compose(number).patient_id):
                number += 1
            entry = PseudonymEntry(key, compose(number))
            self._keep(entry)
            Project.objects.filter(pk=project.pk).update(counter=number)
        return entry

    def add(self, entry: PseudonymEntry) -> None:
        with transaction.atomic():
            self._locked()
            row = self._row(entry.key)
            if row is not None:
                if _entry(entry.key, row) != entry:
                    raise ConfigurationError("one patient has two pseudonyms")
                return
            self._check_owner(entry)
            self._keep(entry)

    def bind(self, listed: PatientKey, issuer: str) -> None:
        """A line of a list without an issuer is one patient's: the first issuer that it is used
        for, in whatever run.

        Raises:
            ConfigurationError: it is another issuer's.
        """
        digest = self.digests.issuer(issuer)
        rows = MapEntry.objects.filter(
            project_id=self._project_id, patient_digest=self.digests.patient(listed)
        )
        rows.filter(issuer_digest="").update(issuer_digest=digest)
        if not rows.filter(issuer_digest=digest).exists():
            raise ConfigurationError(
                "two issuers gave the same Patient ID, and the list of pseudonyms has it once",
                hint="add a column IssuerOfPatientID, and a line for each",
            )

    def _locked(self) -> Project:
        return locked(self._project_id)

    def _row(self, key: PatientKey) -> MapEntry | None:
        return MapEntry.objects.filter(
            project_id=self._project_id, patient_digest=self.digests.patient(key)
        ).first()

    def _is_taken(self, pseudonym_id: str) -> bool:
        wanted = {"project_id": self._project_id, "pseudonym_id": pseudonym_id}
        return (
            MapEntry.objects.filter(**wanted).exists()
            or LegacyEntry.objects.filter(**wanted).exists()
        )

    def _check_owner(self, entry: PseudonymEntry) -> None:
        """A pseudonym belongs to one patient; to several studies of who has no Patient ID; or
        NETRT had given it, and this is the patient whom it was given to."""
        wanted = {"project_id": self._project_id, "pseudonym_id": entry.pseudonym.patient_id}
        others = MapEntry.objects.filter(**wanted)
        if is_study_key(entry.key):
            others = others.exclude(by_study=True)
        legacy = LegacyEntry.objects.filter(**wanted).exclude(
            pseudonym_name=entry.pseudonym.patient_name
        )
        if others.exists() or legacy.exists():
            raise ConfigurationError("two patients have the same pseudonym")

    def _keep(self, entry: PseudonymEntry) -> None:
        self.new_row(entry).save(force_insert=True)

    def new_row(self, entry: PseudonymEntry, *, is_given: bool = False) -> MapEntry:
        """The row of an entry, not saved yet; the project has to be locked."""
        return MapEntry(
            project_id=self._project_id,
            patient_digest=self.digests.patient(entry.key),
            id_digest=self.digests.patient_id(entry.key),
            sealed_patient=self._sealer.seal_patient(entry.key),
            by_study=is_study_key(entry.key),
            is_given=is_given,
            pseudonym_id=entry.pseudonym.patient_id,
            pseudonym_name=entry.pseudonym.patient_name,
            days=entry.days,
            created_by=self._actor[:255],
        )


def opened(row: MapEntry, sealer: Sealer, digests: Digests) -> PatientKey:
    """Whose an entry is.

    Raises:
        ConfigurationError: it cannot be opened, or is another patient's than its digest says.
    """
    key = sealer.open_patient(row.sealed_patient)
    if not hmac.compare_digest(digests.patient(key), row.patient_digest):
        raise ConfigurationError(
            f"entry {row.pk} of the map was changed in the database: it is not to be trusted",
            hint="restore the database from a backup",
        )
    return key


def locked(project_id: int) -> Project:
    """A project, locked until the end of the transaction.

    Raises:
        NotFound: it is gone.
    """
    project = Project.objects.select_for_update().filter(pk=project_id).first()
    if project is None:
        raise NotFound("the project was deleted meanwhile")
    return project


def _entry(key: PatientKey, row: MapEntry) -> PseudonymEntry:
    return PseudonymEntry(key, Pseudonym(row.pseudonym_id, row.pseudonym_name), row.days)
