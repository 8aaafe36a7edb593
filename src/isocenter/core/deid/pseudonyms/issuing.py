"""Who a patient is called outside: one pseudonym for one patient, and no two patients with one.

Three ways to come by one: :class:`KeyedPseudonyms` computes it, :class:`PatternPseudonyms` counts
up and remembers, :class:`GivenPseudonyms` looks it up in a list. The last two keep what they know
in a :class:`PseudonymStore`; :class:`MemoryStore` is the one without a database.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from isocenter.core.deid.pseudonyms.dates import shift_date
from isocenter.core.deid.pseudonyms.files import read_csv
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.pseudonyms.store import (
    MemoryStore,
    Pseudonym,
    PseudonymEntry,
    PseudonymStore,
    check_pseudonym,
    is_study_key,
    netrt_hash,
    study_key,
)
from isocenter.core.errors import ConfigurationError

__all__ = [
    "BirthDateRule",
    "GivenPseudonyms",
    "KeyedPseudonyms",
    "MemoryStore",
    "PatientAlias",
    "PatientKey",
    "PatternPseudonyms",
    "Pseudonym",
    "PseudonymEntry",
    "PseudonymStore",
    "Pseudonyms",
    "Shifting",
    "netrt_hash",
    "study_key",
]

BirthDateRule = Literal["empty", "shift"]

# Crockford's base 32: digits and capitals that nobody confuses.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_KEYED_LETTERS = 16


@dataclass(frozen=True, slots=True)
class PatientAlias:
    """One patient as a project's output shows them.

    Attributes:
        patient_id: new Patient ID.
        patient_name: new Patient's Name.
        day_shift: days that every date is moved by where the policy shifts dates.
        birth_date_rule: whether the birth date is emptied or moved by the same days.
    """

    patient_id: str
    patient_name: str
    day_shift: int
    birth_date_rule: BirthDateRule = "empty"


@dataclass(frozen=True, slots=True)
class Shifting:
    """How a patient's dates move: by the project's secret, and two choices of its policy."""

    secret: Secret
    whole_weeks: bool = False
    keep_ages: bool = False

    def alias(self, key: PatientKey, pseudonym: Pseudonym, days: int | None = None) -> PatientAlias:
        """The alias of a patient; ``days`` where somebody has said by how many to shift."""
        return PatientAlias(
            pseudonym.patient_id,
            pseudonym.patient_name,
            self.days(key) if days is None else days,
            "shift" if self.keep_ages else "empty",
        )

    def days(self, key: PatientKey) -> int:
        """Days that the dates of a patient are moved by."""
        return self.secret.day_shift(key, self.whole_weeks)


class Pseudonyms(Protocol):
    """Gives patients their aliases."""

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        """The alias of a patient, always the same.

        Args:
            key: who.
            attributes: original values by keyword; PatientName, StudyDate and StudyInstanceUID
                count where a pattern or a list needs them.

        Returns:
            None if there is none: the study must not leave.

        Raises:
            ConfigurationError: the alias would be another patient's as well.
        """


class KeyedPseudonyms:
    """Pseudonyms that are computed: nothing to keep, the same on every machine.

    80 bits of a keyed hash, as 16 letters and digits: among a million patients two share one with
    a probability of 4e-13.
    """

    def __init__(
        self,
        secret: Secret,
        *,
        prefix: str = "",
        whole_weeks: bool = False,
        keep_ages: bool = False,
    ) -> None:
        check_pseudonym(Pseudonym(prefix + "0" * _KEYED_LETTERS, prefix + "0"), "prefix")
        self._prefix = prefix
        self._shifting = Shifting(secret, whole_weeks, keep_ages)

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        if key.is_empty:
            return None
        number = self._shifting.secret.number("pseudonym", key.text, 32**_KEYED_LETTERS)
        letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_KEYED_LETTERS))
        text = self._prefix + letters
        return self._shifting.alias(key, Pseudonym(text, text))


class PatternPseudonyms:
    """Pseudonyms by a pattern, counted up: ``{site}_{counter:04}``.

    Fields: ``{site}``, ``{counter}`` (with a width), ``{StudyDate}`` (of the patient's first study
    here, moved by the patient's shift unless ``keep_dates``).
    """

    def __init__(
        self,
        pattern: str,
        site: str,
        store: PseudonymStore,
        secret: Secret,
        *,
        whole_weeks: bool = False,
        keep_ages: bool = False,
        keep_dates: bool = False,
    ) -> None:
        _check_pattern(pattern, site)
        self._pattern, self._site, self._store = pattern, site, store
        self._shifting = Shifting(secret, whole_weeks, keep_ages)
        self._keep_dates = keep_dates
        self._first = 1 + max(map(self._counter_of, store.taken()), default=0)

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        if key.is_empty:
            return None
        entry = self._store.find(key)
        if entry is None:
            entry = self._taken_over(key, attributes.get("PatientName", ""))
        if entry is None:
            date = self._date(key, attributes.get("StudyDate", ""))
            if date is None:
                return None
            entry = self._store.issue(key, partial(self._compose, date), self._first)
        return self._shifting.alias(key, entry.pseudonym, entry.days)

    def _taken_over(self, key: PatientKey, name: str) -> PseudonymEntry | None:
        pseudonym = self._store.legacy(netrt_hash(key.patient_id, name))
        if pseudonym is None:
            return None
        entry = PseudonymEntry(key, pseudonym)
        self._store.add(entry)
        return entry

    def _date(self, key: PatientKey, study_date: str) -> str | None:
        """The date for the pattern; None where the pattern wants one and there is none."""
        if "{StudyDate" not in self._pattern:
            return ""
        days = 0 if self._keep_dates else self._shifting.days(key)
        return shift_date(study_date, days) or None

    def _compose(self, study_date: str, counter: int) -> Pseudonym:
        text = self._pattern.format(site=self._site, counter=counter, StudyDate=study_date)
        return Pseudonym(text, text)

    def _counter_of(self, pseudonym: str) -> int:
        """The number in a pseudonym that this pattern made; 0 for one that it did not make."""
        made = ""
        for literal, name, _, _ in string.Formatter().parse(self._pattern):
            made += re.escape(literal)
            made += {None: "", "counter": r"(\d+)", "StudyDate": r"\d{8}"}.get(
                name, re.escape(self._site)
            )
        found = re.fullmatch(made, pseudonym)
        return int(found[1]) if found else 0


class GivenPseudonyms:
    """Pseudonyms from a list that somebody made, for instance the batch file of a project."""

    def __init__(
        self,
        store: PseudonymStore,
        secret: Secret,
        *,
        whole_weeks: bool = False,
        keep_ages: bool = False,
        otherwise: Pseudonyms | None = None,
    ) -> None:
        """``otherwise`` gives the aliases of patients whom the list does not have."""
        self._store, self._otherwise = store, otherwise
        self._issuers: dict[PatientKey, str] = {}
        self._shifting = Shifting(secret, whole_weeks, keep_ages)

    @classmethod
    def from_csv(
        cls,
        path: Path,
        secret: Secret,
        *,
        whole_weeks: bool = False,
        keep_ages: bool = False,
        otherwise: Pseudonyms | None = None,
    ) -> GivenPseudonyms:
        """From a file of :mod:`~isocenter.core.deid.pseudonyms.files`.

        Raises:
            ConfigurationError: names every wrong line.
        """
        return cls(
            MemoryStore(read_csv(path)),
            secret,
            whole_weeks=whole_weeks,
            keep_ages=keep_ages,
            otherwise=otherwise,
        )

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        entry = self._entry(key, attributes.get("StudyInstanceUID", ""))
        if entry is None:
            return None if self._otherwise is None else self._otherwise.alias_for(key, attributes)
        # Without a Patient ID, what is known of the patient is the pseudonym: it is the same in
        # all of their studies, and so is the shift.
        shifted_by = entry.key
        if is_study_key(entry.key):
            shifted_by = PatientKey("\0given", entry.pseudonym.patient_id)
        return self._shifting.alias(shifted_by, entry.pseudonym, entry.days)

    def _entry(self, key: PatientKey, study_instance_uid: str) -> PseudonymEntry | None:
        entry = None if key.is_empty else self._store.find(key)
        if entry is None and key.issuer and not key.is_empty:
            entry = self._store.find(PatientKey("", key.patient_id))
            if entry is not None:
                self.bind(entry.key, key.issuer)
        return entry or self._store.find(study_key(study_instance_uid.strip(" \0")))

    def bind(self, listed: PatientKey, issuer: str) -> None:
        """A line without an issuer is one patient's: the first issuer that it is used for.

        Known as long as this object lives; a map that lasts longer has to keep it longer.

        Raises:
            ConfigurationError: another issuer has it.
        """
        if self._issuers.setdefault(listed, issuer) != issuer:
            raise ConfigurationError(
                "two issuers gave the same Patient ID, and the list of pseudonyms has it once",
                hint="add a column IssuerOfPatientID, and a line for each",
            )


def _check_pattern(pattern: str, site: str) -> None:
    fields = set()
    try:
        for _, name, specification, conversion in string.Formatter().parse(pattern):
            if name is None:
                continue
            fields.add(name)
            allowed = name == "counter" or (name in ("site", "StudyDate") and not specification)
            if not allowed or conversion:
                raise ConfigurationError(
                    f"pseudonym pattern: field {{{name}}} is not known or has a width",
                    hint="fields are {site}, {counter:04} and {StudyDate}",
                )
        text = pattern.format(site=site, counter=1, StudyDate="20000101")
    except (ValueError, IndexError, KeyError) as error:
        raise ConfigurationError(
            f"pseudonym pattern: {error}", hint="for example {site}_{counter:04}"
        ) from error
    if "counter" not in fields:
        raise ConfigurationError("pseudonym pattern: it has no {counter}, all would be the same")
    check_pseudonym(Pseudonym(text, text), "pseudonym pattern")
