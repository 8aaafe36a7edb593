"""Files with pseudonyms: CSV in and out, and NETRT's ``pid_mapping.json``.

A CSV file has a line of column names, separated by commas, semicolons or tabs, in UTF-8:

===================== =====================================================================
column                content
===================== =====================================================================
``PatientID``         as in the images; empty only where a study is named
``IssuerOfPatientID`` optional
``StudyInstanceUID``  optional; names the patient of that study where there is no Patient ID
``Pseudonym``         new Patient ID
``PseudonymName``     new Patient's Name; optional, else the pseudonym
``DayShift``          optional; days that the patient's dates are moved by, not 0
===================== =====================================================================

Messages say lines and columns and never a value, for the values identify people.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.deid.pseudonyms.store import (
    MemoryStore,
    Pseudonym,
    PseudonymEntry,
    check_pseudonym,
    is_study_key,
    study_key,
)
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.core.errors import ConfigurationError

COLUMNS = (
    "PatientID",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "Pseudonym",
    "PseudonymName",
    "DayShift",
)
_BY_NAME = {name.casefold(): name for name in COLUMNS} | {
    "issuer": "IssuerOfPatientID",
    "newpatientid": "Pseudonym",
    "newpatientname": "PseudonymName",
}
_SEPARATORS = ",;\t"
_MOST_PROBLEMS = 20
_MOST_BYTES = 256 * 1024 * 1024
_MOST_DAYS = 36_525
_NETRT_KEY = re.compile(r"[0-9a-f]{16}")


def read_csv(path: Path) -> list[PseudonymEntry]:
    """Entries of a file.

    Raises:
        ConfigurationError: names every wrong line.
    """
    return parse_csv(_text_of(path), str(path))


def parse_csv(text: str, where: str = "pseudonyms") -> list[PseudonymEntry]:
    """Entries from the text of a file.

    Raises:
        ConfigurationError: names every wrong line.
    """
    lines = text.removeprefix("\ufeff")
    first = lines.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=True)
    lister = _Lister(where)
    try:
        columns = _columns(next(reader, []), where)
        for row in reader:
            if any(cell.strip() for cell in row):
                lister.add(reader.line_num, row, columns)
    except csv.Error as error:
        raise ConfigurationError(f"{where}: line {reader.line_num}: {error}") from error
    return lister.finish()


def write_csv(entries: Iterable[PseudonymEntry], path: Path) -> None:
    """Write entries to a new file that only its owner can read: it identifies people.

    Raises:
        ConfigurationError: there is a file already, or it cannot be written.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(format_csv(entries), encoding="utf-8", newline="")
    except FileExistsError as error:
        raise ConfigurationError(
            f"{path} is there already", hint="it is not written over; name another"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def format_csv(entries: Iterable[PseudonymEntry]) -> str:
    """The text of a file that :func:`parse_csv` reads to the same entries."""
    return "".join([_written(COLUMNS), *map(csv_row, entries)])


def csv_row(entry: PseudonymEntry) -> str:
    """One line of such a file."""
    key, pseudonym, days = entry
    by_study = is_study_key(key)
    return _written(
        (
            "" if by_study else key.patient_id,
            "" if by_study else key.issuer,
            key.patient_id if by_study else "",
            pseudonym.patient_id,
            pseudonym.patient_name,
            "" if days is None else str(days),
        )
    )


def _written(cells: Iterable[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def read_netrt(path: Path) -> MemoryStore:
    """A store that goes on with NETRT's ``pid_mapping.json``.

    NETRT keeps no Patient IDs but a hash of ID and name; whoever comes with that ID and name
    gets the pseudonym that NETRT gave, everybody else the next number.

    Raises:
        ConfigurationError: it is no such file.
    """
    return parse_netrt(_text_of(path), str(path))


def parse_netrt(text: str, where: str = "pid_mapping.json") -> MemoryStore:
    """The same from the text of a file.

    Raises:
        ConfigurationError: it is no such file.
    """
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{where}: no JSON") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where}: no pid_mapping.json of NETRT")
    store = MemoryStore()
    problems = []
    for number, (hashed, entry) in enumerate(content.items(), 1):
        given = entry.get("anonymized_id") if isinstance(entry, dict) else None
        try:
            if not _NETRT_KEY.fullmatch(hashed) or not isinstance(given, str):
                raise ConfigurationError(
                    "expected 16 hexadecimal digits with an 'anonymized_id' in it"
                )
            check_pseudonym(Pseudonym(given, given), "anonymized_id")
            store.add_legacy(hashed, Pseudonym(given, given))
        except ConfigurationError as error:
            problems.append(f"entry {number}: {error}")
    _raise_all(problems, where)
    return store


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{path}: larger than {_MOST_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not in UTF-8", hint="in a spreadsheet, save as 'CSV UTF-8'"
        ) from error


def _columns(names: list[str], where: str) -> dict[str, int]:
    """Place of each column."""
    columns: dict[str, int] = {}
    for place, written in enumerate(names):
        plain = re.sub(r"[\s_\-']", "", written).casefold()
        name = _BY_NAME.get(plain)
        if name is None or name in columns:
            reason = "stands twice" if name else "is not known"
            raise ConfigurationError(
                f"{where}: line 1: column {place + 1} {reason}",
                hint=f"columns are {', '.join(COLUMNS)}",
            )
        columns[name] = place
    if "Pseudonym" not in columns or not columns.keys() & {"PatientID", "StudyInstanceUID"}:
        raise ConfigurationError(
            f"{where}: line 1 has to name the columns PatientID (or StudyInstanceUID) "
            "and Pseudonym",
            hint=f"columns are {', '.join(COLUMNS)}",
        )
    return columns


class _Lister:
    """Checks line by line, and each against the others."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._problems: list[str] = []
        self._lines: dict[PatientKey, int] = {}
        self._store = MemoryStore()
        self._owners: dict[str, int] = {}
        self._originals: dict[str, int] = {}

    def add(self, line: int, row: list[str], columns: Mapping[str, int]) -> None:
        if len(row) != len(columns):
            self._problem(line, f"{len(row)} cells, but there are {len(columns)} columns")
            return
        cells = {name: row[place].strip(" \0") for name, place in columns.items()}
        try:
            entry = _entry(cells)
        except ConfigurationError as error:
            self._problem(line, str(error))
            return
        known = self._store.find(entry.key)
        if known is not None:
            if known != entry:
                self._problem(line, f"the patient of line {self._lines[entry.key]} again")
            return
        try:
            self._store.add(entry)
        except ConfigurationError:
            owner = self._owners[entry.pseudonym.patient_id]
            self._problem(line, f"line {owner} has this pseudonym for another patient")
            return
        self._lines[entry.key] = line
        self._owners.setdefault(entry.pseudonym.patient_id, line)
        if not is_study_key(entry.key):
            self._originals.setdefault(entry.key.patient_id, line)

    def finish(self) -> list[PseudonymEntry]:
        for pseudonym, line in self._owners.items():
            original = self._originals.get(pseudonym)
            if original is not None:
                self._problem(line, f"the pseudonym is the Patient ID of line {original}")
        _raise_all(self._problems, self._where)
        return self._store.entries

    def _problem(self, line: int, text: str) -> None:
        self._problems.append(f"line {line}: {text}")


def _entry(cells: Mapping[str, str]) -> PseudonymEntry:
    study = cells.get("StudyInstanceUID", "")
    key = PatientKey.of(cells.get("IssuerOfPatientID"), cells.get("PatientID"))
    if key.is_empty:
        if not study:
            raise ConfigurationError("PatientID is empty")
        if not is_valid_uid(study):
            raise ConfigurationError("StudyInstanceUID is no UID")
        key = study_key(study)
    given = cells["Pseudonym"]
    pseudonym = Pseudonym(given, cells.get("PseudonymName") or given)
    check_pseudonym(pseudonym, "Pseudonym")
    return PseudonymEntry(key, pseudonym, _days(cells.get("DayShift", "")))


def _days(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[+-]?\d{1,6}", text) or not 0 < abs(int(text)) <= _MOST_DAYS:
        raise ConfigurationError(
            f"DayShift is no whole number of days from -{_MOST_DAYS} to {_MOST_DAYS}, or it is 0"
        )
    return int(text)


def _raise_all(problems: list[str], where: str) -> None:
    if problems:
        shown = problems[:_MOST_PROBLEMS]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        raise ConfigurationError("\n".join([f"{where}:", *shown]))
