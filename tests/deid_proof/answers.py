"""The answer database in the layout of the MIDI-B validation script.

Table ``answer_data``: PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, scope, and
AnswerData: JSON of numbered checks with tag, tag_ds, tag_name, value, action, action_text. Beside
it tables of our own: ``objects``: which objects may be refused, and whose they are; ``may_stay``:
values of which nothing is asked, because an option leaves them to the one who de-identifies.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from deid_proof.expectations import Asked, answers
from deid_proof.plants import Plant


@dataclass(frozen=True)
class Answered:
    """One check.

    Attributes:
        sop_uid: original SOPInstanceUID.
        serial: InstanceNumber.
        refusable: whether the object may be missing from the output.
        path: as in :class:`deid_proof.plants.Plant`.
    """

    sop_uid: str
    patient: str
    serial: int
    refusable: bool
    path: str
    vr: str
    action: str
    text: str
    value: str


def _name(path: str) -> str:
    last = path.rsplit("<", maxsplit=1)[1]
    try:
        return str(dictionary_description(int(last[1:5] + last[6:10], 16)))
    except (KeyError, ValueError):
        return ""


def write(
    path: Path,
    headers: dict[int, tuple[str, Dataset]],
    plants: Iterable[Plant],
    policy: Asked,
    refusable: frozenset[int],
) -> int:
    """Write the answers for a policy; returns how many there are."""
    checks: dict[int, dict[str, dict[str, str]]] = defaultdict(dict)
    total = 0
    free: set[str] = set()
    for plant in plants:
        asked = list(answers(plant, policy))
        if not asked:
            free.add(plant.value)
        for action, text in asked:
            tag = plant.path.rsplit("<", maxsplit=1)[1].rstrip(">")
            checks[plant.serial][str(total)] = {
                "tag": f"<{tag}>",
                "tag_ds": plant.path,
                "tag_name": f"<{_name(plant.path)}>",
                "vr": plant.vr,
                "value": f"<{plant.value}>",
                "action": action,
                "action_text": f"<{text}>",
                "answer_category_v2": plant.kind,
            }
            total += 1
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE answer_data (PatientID TEXT, StudyInstanceUID TEXT,"
            " SeriesInstanceUID TEXT, SOPInstanceUID TEXT, scope TEXT, AnswerData TEXT)"
        )
        database.execute(
            "CREATE TABLE objects (SOPInstanceUID TEXT, serial INTEGER, patient TEXT,"
            " refusable INTEGER)"
        )
        database.execute("CREATE TABLE may_stay (value TEXT)")
        database.executemany("INSERT INTO may_stay VALUES (?)", ((text,) for text in sorted(free)))
        for serial, (patient, header) in sorted(headers.items()):
            database.execute(
                "INSERT INTO answer_data VALUES (?, ?, ?, ?, '<Instance>', ?)",
                (
                    header.PatientID,
                    header.StudyInstanceUID,
                    header.SeriesInstanceUID,
                    header.SOPInstanceUID,
                    json.dumps(checks[serial], ensure_ascii=False),
                ),
            )
            database.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?)",
                (header.SOPInstanceUID, serial, patient, serial in refusable),
            )
    return total


def read_free(path: Path) -> frozenset[str]:
    """Values of which nothing is asked."""
    with closing(sqlite3.connect(path)) as database:
        return frozenset(row[0] for row in database.execute("SELECT value FROM may_stay"))


def read(path: Path) -> Iterator[Answered]:
    """Every check of a database."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT a.SOPInstanceUID, o.patient, o.serial, o.refusable, a.AnswerData"
            " FROM answer_data a JOIN objects o USING (SOPInstanceUID) ORDER BY o.serial"
        ).fetchall()
    for sop_uid, patient, serial, refusable, data in rows:
        for check in json.loads(data).values():
            yield Answered(
                sop_uid,
                patient,
                serial,
                bool(refusable),
                check["tag_ds"],
                check["vr"],
                check["action"],
                check["action_text"][1:-1],
                check["value"][1:-1],
            )
