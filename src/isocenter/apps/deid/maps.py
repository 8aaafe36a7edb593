"""Maps in and out, and the question who somebody is. All of it is written down, without a patient.

Files are those of the command line: CSV of ``core.deid.pseudonyms.files``, and NETRT's
``pid_mapping.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.models import LegacyEntry, MapEntry, Project
from isocenter.apps.deid.queries import document_of, project
from isocenter.apps.deid.sealing import Sealer
from isocenter.apps.deid.store import DatabaseStore, Digests, locked, opened
from isocenter.core.deid.pseudonyms.files import format_csv, parse_csv, parse_netrt
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import Pseudonym, PseudonymEntry, is_study_key
from isocenter.core.errors import ConfigurationError

MOST_BYTES = 64 * 1024 * 1024
_MOST_PROBLEMS = 20
_BATCH = 500


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        added: entries that are new.
        known: entries that were there already, the same.
    """

    added: int
    known: int


def import_map(name: str, content: str | bytes, *, actor: str) -> Imported:
    """Take the entries of a CSV file into a map: all of it or nothing.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: wrong lines, or entries that contradict the map; never says a value.
    """
    entries = parse_csv(_text(content), "the list")
    with transaction.atomic():
        found = locked(project(name).pk)
        store = DatabaseStore(found, actor=actor)
        rows = _new_rows(found, store, entries)
        MapEntry.objects.bulk_create(rows, batch_size=_BATCH)
        return _recorded(name, "csv", actor, len(rows), len(entries) - len(rows))


def import_netrt_map(name: str, content: str | bytes, *, actor: str) -> Imported:
    """Take over NETRT's ``pid_mapping.json``. It holds hashes of patients: who comes with that
    Patient ID and name keeps their pseudonym, and only then is it known whose it is.

    Raises:
        NotFound: there is no such project.
        ConfigurationError: no such file, one of its pseudonyms is somebody else's here, or the
            project has pseudonyms of a list alone.
    """
    legacy = parse_netrt(_text(content), "the file").legacy_entries
    with transaction.atomic():
        found = locked(project(name).pk)
        if document_of(found).pseudonyms.kind == "given":
            raise ConfigurationError(
                f"{name} has pseudonyms of a list alone, and the file names no patients",
                hint="set pseudonyms.kind to pattern or keyed first",
            )
        digests = DatabaseStore(found).digests
        known = dict(found.legacy_entries.values_list("digest", "pseudonym_id"))
        taken = set(known.values()) | set(found.entries.values_list("pseudonym_id", flat=True))
        rows, problems, same = [], [], 0
        for number, (hashed, pseudonym) in enumerate(legacy.items(), 1):
            digest = digests.legacy(hashed)
            if digest in known and known[digest] == pseudonym.patient_id:
                same += 1
            elif digest in known:
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
        _refuse(problems)
        LegacyEntry.objects.bulk_create(rows, batch_size=_BATCH)
        return _recorded(name, "netrt", actor, len(rows), same)


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
) -> list[MapEntry]:
    """Rows for what is not in the map yet.

    Raises:
        ConfigurationError: something contradicts the map.
    """
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
    _refuse(problems)
    return rows


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


def _refuse(problems: list[str]) -> None:
    if problems:
        shown = problems[:_MOST_PROBLEMS]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        raise ConfigurationError("\n".join(["nothing was taken over:", *shown]))


def _recorded(name: str, form: str, actor: str, added: int, known: int) -> Imported:
    record(Kind.PSEUDONYMS_IMPORTED, actor=actor, project=name, form=form, added=added, known=known)
    return Imported(added, known)


def _opened(found: Project, sealer: Sealer) -> Iterator[PseudonymEntry]:
    digests = Digests(sealer.open_secret(found))
    for row in found.entries.order_by("pk").iterator(chunk_size=_BATCH):
        key = opened(row, sealer, digests)
        yield PseudonymEntry(key, Pseudonym(row.pseudonym_id, row.pseudonym_name), row.days)
