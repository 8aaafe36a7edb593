"""Maps in and out, and the question who somebody is. All of it is written down, without a patient.

Files are those of the command line: CSV of ``core.deid.pseudonyms.files``, and NETRT's
``pid_mapping.json``. A list that is held against a map says who is who in it: whoever may not ask
that learns only how many entries contradict or are there already, and not often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit import queries as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.models import LegacyEntry, MapEntry, Project
from isocenter.apps.deid.queries import document_of, project
from isocenter.apps.deid.sealing import Sealer
from isocenter.apps.deid.store import DatabaseStore, Digests, locked, opened
from isocenter.core.deid.pseudonyms.files import format_csv, parse_csv, parse_netrt
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import Pseudonym, PseudonymEntry, is_study_key
from isocenter.core.errors import ConfigurationError, Refused

MOST_BYTES = 64 * 1024 * 1024
_MOST_PROBLEMS = 20
_BATCH = 500
#: Lists that contradict, of one person who may not look up, in this time.
MOST_REFUSED, REFUSED_WITHIN = 10, timedelta(hours=1)


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        added: entries that are new.
        known: entries that were there already, the same.
    """

    added: int
    known: int

    @property
    def entries(self) -> int:
        """All of them: what somebody may know who may not look anybody up."""
        return self.added + self.known


def import_map(
    name: str, content: str | bytes, *, actor: str, may_reidentify: bool = True
) -> Imported:
    """Take the entries of a CSV file into a map: all of it or nothing.

    Args:
        may_reidentify: the actor has ``Right.REIDENTIFY``, as the command line has. Who has not
            must be told :attr:`Imported.entries` alone.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: wrong lines, or entries that contradict the map; never says a value,
            and not which entries unless the actor may look up.
        Refused: the actor may not look up, and too many lists of theirs contradicted.
    """
    entries = parse_csv(_text(content), "the list")
    with transaction.atomic():
        found = locked(project(name).pk)
        asked = _Asked(name, "csv", actor, may_reidentify)
        asked.require_few()
        rows, problems = _new_rows(found, DatabaseStore(found, actor=actor), entries)
        if not problems:
            MapEntry.objects.bulk_create(rows, batch_size=_BATCH)
        asked.record(len(entries), len(rows), problems)
    asked.refuse(len(entries) - len(rows), problems)
    return Imported(len(rows), len(entries) - len(rows))


def import_netrt_map(
    name: str, content: str | bytes, *, actor: str, may_reidentify: bool = True
) -> Imported:
    """Take over NETRT's ``pid_mapping.json``. It holds hashes of patients: who comes with that
    Patient ID and name keeps their pseudonym, and only then is it known whose it is.

    Args:
        may_reidentify: as for :func:`import_map`.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: no such file, one of its pseudonyms is somebody else's here, or the
            project has pseudonyms of a list alone.
        Refused: as :func:`import_map`.
    """
    legacy = parse_netrt(_text(content), "the file").legacy_entries
    with transaction.atomic():
        found = locked(project(name).pk)
        if document_of(found).pseudonyms.kind == "given":
            raise ConfigurationError(
                f"{name} has pseudonyms of a list alone, and the file names no patients",
                hint="set pseudonyms.kind to pattern or keyed first",
            )
        asked = _Asked(name, "netrt", actor, may_reidentify)
        asked.require_few()
        rows, problems = _legacy_rows(found, legacy)
        if not problems:
            LegacyEntry.objects.bulk_create(rows, batch_size=_BATCH)
        asked.record(len(legacy), len(rows), problems)
    asked.refuse(len(legacy) - len(rows), problems)
    return Imported(len(rows), len(legacy) - len(rows))


def export_map(name: str, *, actor: str) -> str:
    """A map as CSV, with the patients in it. Who asks needs ``Right.REIDENTIFY``.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: it cannot be opened.
    """
    sealer = Sealer()
    found = project(name)
    text = format_csv(_opened(found, sealer))
    count = found.entries.count()
    record(Kind.PSEUDONYMS_EXPORTED, actor=actor, project=name, entries=count)
    return text


def secret_of(name: str, *, actor: str) -> Secret:
    """A project's secret, for ``isocenter deidentify`` elsewhere. Needs ``Right.REIDENTIFY``.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: it cannot be opened.
    """
    sealer = Sealer()
    secret = sealer.open_secret(project(name))
    record(Kind.PROJECT_SECRET_EXPORTED, actor=actor, project=name)
    return secret


def _text(content: str | bytes) -> str:
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"the file is larger than {MOST_BYTES >> 20} MB")
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(
            "the file is not in UTF-8", hint="in a spreadsheet, save as 'CSV UTF-8'"
        ) from None


def _new_rows(
    found: Project, store: DatabaseStore, entries: Iterable[PseudonymEntry]
) -> tuple[list[MapEntry], list[str]]:
    """Rows for what is not in the map yet, and what contradicts it."""
    known = _Known(found, store.digests)
    rows, problems = [], []
    for number, entry in enumerate(entries, 1):
        if known.has(entry):
            continue
        problem = known.problem(entry)
        if problem:
            problems.append(f"entry {number}: {problem}")
        else:
            rows.append(store.new_row(entry, is_given=True))
    return rows, problems


def _legacy_rows(
    found: Project, legacy: Mapping[str, Pseudonym]
) -> tuple[list[LegacyEntry], list[str]]:
    """The same for NETRT's hashes of patients."""
    digests = DatabaseStore(found).digests
    known = dict(found.legacy_entries.values_list("digest", "pseudonym_id"))
    taken = set(known.values()) | set(found.entries.values_list("pseudonym_id", flat=True))
    rows, problems = [], []
    for number, (hashed, pseudonym) in enumerate(legacy.items(), 1):
        digest = digests.legacy(hashed)
        if digest in known:
            if known[digest] != pseudonym.patient_id:
                problems.append(f"entry {number}: this patient has another pseudonym here")
        elif pseudonym.patient_id in taken:
            problems.append(f"entry {number}: another patient has this pseudonym here")
        else:
            rows.append(
                LegacyEntry(
                    project=found,
                    digest=digest,
                    pseudonym_id=pseudonym.patient_id,
                    pseudonym_name=pseudonym.patient_name,
                )
            )
    return rows, problems


@dataclass(frozen=True)
class _Asked:
    """Who holds a list against which map, and what they may learn from it."""

    project: str
    form: str
    actor: str
    may_reidentify: bool

    def require_few(self) -> None:
        """
        Raises:
            Refused: too many lists of theirs contradicted a map.
        """
        if self.may_reidentify:
            return
        since = timezone.now() - REFUSED_WITHIN
        if audit.count_since(Kind.PSEUDONYMS_COMPARED, self.actor, since) >= MOST_REFUSED:
            raise Refused(
                f"{MOST_REFUSED} of your lists contradicted a map within an hour",
                hint="try later, or ask somebody with the right reidentify",
            )

    def record(self, entries: int, added: int, problems: Sequence[str]) -> None:
        """Write down what it was, also where nothing is taken: the answer says something of the
        map. An event says no more than the answer: whoever asked may read events, too."""
        kind = Kind.PSEUDONYMS_COMPARED if problems else Kind.PSEUDONYMS_IMPORTED
        old = entries - added
        counts: dict[str, Any]
        if not self.may_reidentify:
            counts = {"entries": entries} | ({"contradict_or_known": old} if problems else {})
        elif problems:
            counts = {"entries": entries, "contradict": len(problems)}
        else:
            counts = {"added": added, "known": old}
        record(kind, actor=self.actor, project=self.project, form=self.form, **counts)

    def refuse(self, old: int, problems: Sequence[str]) -> None:
        """When what is to be kept is kept.

        Args:
            old: entries that contradict or are in the map. Who may not look up is told this
                number: that of the contradictions alone would say how many pairs of a list of
                guesses are right.

        Raises:
            ConfigurationError: something contradicts the map.
        """
        if not problems:
            return
        if not self.may_reidentify:
            what = "1 entry contradicts" if old == 1 else f"{old} entries contradict"
            raise ConfigurationError(
                f"nothing was taken over: {what} the map or {'is' if old == 1 else 'are'} in it",
                hint="somebody with the right reidentify can see which",
            )
        shown = list(problems[:_MOST_PROBLEMS])
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        raise ConfigurationError("\n".join(["nothing was taken over:", *shown]))


class _Known:
    """A whole map in memory, to hold a list against."""

    def __init__(self, found: Project, digests: Digests) -> None:
        self._digests = digests
        self._by_patient: dict[str, MapEntry] = {}
        self._by_id: dict[str, list[MapEntry]] = {}
        self._by_pseudonym: dict[str, MapEntry] = {}
        for row in found.entries.defer("sealed_patient").iterator():
            self._by_patient[row.patient_digest] = row
            self._by_id.setdefault(row.id_digest, []).append(row)
            self._by_pseudonym[row.pseudonym_id] = row
        self._legacy = dict(found.legacy_entries.values_list("pseudonym_id", "pseudonym_name"))

    def has(self, entry: PseudonymEntry) -> bool:
        """Whether it is there, the same."""
        row = self._by_patient.get(self._digests.patient(entry.key)) or self._bound(entry.key)
        return row is not None and _content(row) == (*entry.pseudonym, entry.days)

    def problem(self, entry: PseudonymEntry) -> str:
        """Why it cannot be added; empty if it can."""
        key, pseudonym = entry.key, entry.pseudonym
        if self._digests.patient(key) in self._by_patient or self._bound(key) is not None:
            return "this patient has another pseudonym here"
        owner = self._by_pseudonym.get(pseudonym.patient_id)
        if owner is not None and not (owner.by_study and is_study_key(key)):
            return "another patient has this pseudonym here"
        if not key.issuer and any(not row.is_given for row in self._same_id(key)):
            return "a patient with this ID has another pseudonym here; name the issuer"
        if self._legacy.get(pseudonym.patient_id, pseudonym.patient_name) != pseudonym.patient_name:
            return "NETRT gave this pseudonym to another patient"
        original = PatientKey(key.issuer, pseudonym.patient_id)
        if self._digests.patient(original) in self._by_patient:
            return "the pseudonym is the Patient ID of a patient here"
        return ""

    def _same_id(self, key: PatientKey) -> list[MapEntry]:
        return self._by_id.get(self._digests.patient_id(key), [])

    def _bound(self, key: PatientKey) -> MapEntry | None:
        """The line without an issuer that this patient's issuer was the first to use."""
        digest = self._digests.issuer(key.issuer) if key.issuer else None
        return next((row for row in self._same_id(key) if row.issuer_digest == digest), None)


def _content(row: MapEntry) -> tuple[str, str, int | None]:
    return row.pseudonym_id, row.pseudonym_name, row.days


def _opened(found: Project, sealer: Sealer) -> Iterator[PseudonymEntry]:
    digests = Digests(sealer.open_secret(found))
    for row in found.entries.order_by("pk").iterator(chunk_size=_BATCH):
        key = opened(row, sealer, digests)
        yield PseudonymEntry(key, Pseudonym(row.pseudonym_id, row.pseudonym_name), row.days)
