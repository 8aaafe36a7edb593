"""Who remembers which patient has which pseudonym, and lets no pseudonym have two patients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.errors import ConfigurationError

_MOST_CHARACTERS = 64  # VR LO (PS3.5 6.2)
_NETRT_DIGITS = 16
# Issuers that no data set can have: a value never has a NUL inside.
_STUDY_ISSUER = "\0study"
_LEGACY_ISSUER = "\0legacy"


class Pseudonym(NamedTuple):
    """What goes into Patient ID and Patient's Name."""

    patient_id: str
    patient_name: str


class PseudonymEntry(NamedTuple):
    """One line of a pseudonym map.

    Attributes:
        key: whose; by :func:`study_key` where the Patient ID is empty.
        pseudonym: what they are called.
        days: shift of their dates, if it is given and not computed.
    """

    key: PatientKey
    pseudonym: Pseudonym
    days: int | None = None


class PseudonymStore(Protocol):
    """Remembers who is called what, in both directions without a second meaning."""

    def find(self, key: PatientKey) -> PseudonymEntry | None:
        """The entry of a patient."""

    def taken(self) -> Iterable[str]:
        """Every pseudonym that is somebody's."""

    def legacy(self, hashed: str) -> Pseudonym | None:
        """A pseudonym that another system had given, by that system's hash of the patient."""

    def issue(
        self, key: PatientKey, compose: Callable[[int], Pseudonym], first: int = 1
    ) -> PseudonymEntry:
        """Store the first free pseudonym of a count for a patient who has none, at once and whole.

        Args:
            key: whose.
            compose: the pseudonym with a number.
            first: lowest number to use.
        """

    def add(self, entry: PseudonymEntry) -> None:
        """Store a given pseudonym.

        Raises:
            ConfigurationError: the patient has another one, or another patient has it.
        """


def study_key(study_instance_uid: str) -> PatientKey:
    """The key of a patient without Patient ID, who is known by one study only."""
    return PatientKey(_STUDY_ISSUER, study_instance_uid)


def is_study_key(key: PatientKey) -> bool:
    """Whether a key is one of :func:`study_key`."""
    return key.issuer == _STUDY_ISSUER


def netrt_hash(patient_id: str, patient_name: str) -> str:
    """How NETRT's ``pid_mapping.json`` names a patient: 16 digits of SHA-256 of ID and name."""
    text = f"{patient_id}|{patient_name}".encode()
    return hashlib.sha256(text).hexdigest()[:_NETRT_DIGITS]


def check_pseudonym(pseudonym: Pseudonym, where: str) -> None:
    """Refuse what cannot be a Patient ID or a name (PS3.5 6.2, VR LO and PN).

    Raises:
        ConfigurationError: says ``where``.
    """
    for text in pseudonym:
        if not text.strip():
            raise ConfigurationError(f"{where}: the pseudonym is empty")
        if len(text) > _MOST_CHARACTERS:
            raise ConfigurationError(
                f"{where}: the pseudonym has {len(text)} characters; at most {_MOST_CHARACTERS}"
            )
        if "\\" in text or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise ConfigurationError(
                f"{where}: the pseudonym has a backslash or a control character"
            )


class MemoryStore:
    """A pseudonym store in memory."""

    def __init__(self, entries: Iterable[PseudonymEntry] = ()) -> None:
        self._entries: dict[PatientKey, PseudonymEntry] = {}
        self._owners: dict[str, PatientKey] = {}
        self._legacy: dict[str, Pseudonym] = {}
        self._counter = 0
        for entry in entries:
            self.add(entry)

    @property
    def entries(self) -> list[PseudonymEntry]:
        """Everybody, in the order they came."""
        return list(self._entries.values())

    @property
    def legacy_entries(self) -> dict[str, Pseudonym]:
        """Pseudonyms of patients who are known by another system's hash only, by that hash."""
        return dict(self._legacy)

    def find(self, key: PatientKey) -> PseudonymEntry | None:
        return self._entries.get(key)

    def taken(self) -> Iterable[str]:
        return list(self._owners)

    def legacy(self, hashed: str) -> Pseudonym | None:
        return self._legacy.get(hashed)

    def add_legacy(self, hashed: str, pseudonym: Pseudonym) -> None:
        """Keep a pseudonym of a patient who is known by a hash only.

        Raises:
            ConfigurationError: somebody else has it.
        """
        owner = PatientKey(_LEGACY_ISSUER, hashed)
        if self._owners.setdefault(pseudonym.patient_id, owner) != owner:
            raise ConfigurationError("two patients have the same pseudonym")
        self._legacy[hashed] = pseudonym

    def issue(
        self, key: PatientKey, compose: Callable[[int], Pseudonym], first: int = 1
    ) -> PseudonymEntry:
        known = self._entries.get(key)
        if known is not None:
            return known
        number = max(first, self._counter + 1)
        while compose(number).patient_id in self._owners:
            number += 1
        entry = PseudonymEntry(key, compose(number))
        self.add(entry)
        self._counter = number
        return entry

    def check(self, entry: PseudonymEntry) -> None:
        """Whether an entry can be added.

        Raises:
            ConfigurationError: as :meth:`add`.
        """
        known = self._entries.get(entry.key)
        if known is not None and known != entry:
            raise ConfigurationError("one patient has two pseudonyms")
        owner = self._owners.get(entry.pseudonym.patient_id)
        if owner is not None and not self._may_share(owner, entry):
            raise ConfigurationError("two patients have the same pseudonym")

    def add(self, entry: PseudonymEntry) -> None:
        self.check(entry)
        self._entries[entry.key] = entry
        self._owners[entry.pseudonym.patient_id] = entry.key

    def _may_share(self, owner: PatientKey, entry: PseudonymEntry) -> bool:
        """The same patient; a patient known by several studies; or one whose hash it was."""
        if owner == entry.key or (is_study_key(owner) and is_study_key(entry.key)):
            return True
        hashed = owner.patient_id if owner.issuer == _LEGACY_ISSUER else ""
        return bool(hashed) and self._legacy[hashed] == entry.pseudonym
