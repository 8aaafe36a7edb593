"""Scores an output set against the answer database.

    python tests/deid_proof/score.py INPUT OUTPUT ANSWERS.db UID_MAPPING.csv PATID_MAPPING.csv

It reads these and nothing else. Beside the ten actions of the MIDI-B validation script there are
``<object_released>`` (an object that may not be refused is in the output) and ``<no_leak>`` (no
planted value anywhere in an output file, be it in its name, its bytes or a report beside it).
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deid_proof import answers
from deid_proof.answers import Answered
from deid_proof.checks import check_value, shifted_days
from deid_proof.expectations import (
    ACTIONS,
    DATE_SHIFTED,
    PATID_CONSISTENT,
    PIXELS_HIDDEN,
    PIXELS_RETAINED,
    UID_CONSISTENT,
)
from deid_proof.leaks import LeakSearch, wanted
from deid_proof.pixel_checks import box_is_covered
from deid_proof.reading import Read, read_folder
from deid_proof.samples import digest

RELEASED = "<object_released>"
NO_LEAK = "<no_leak>"


@dataclass(frozen=True, order=True)
class Failure:
    """What went wrong where."""

    action: str
    serial: int
    path: str
    what: str


@dataclass
class Score:
    """Outcome.

    Attributes:
        passed, failed: number of checks by action.
        failures: every failure.
        refused: objects that were allowed to be refused, and were.
    """

    passed: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    refused: int = 0

    @property
    def failed(self) -> Counter[str]:
        """Failures by action."""
        return Counter(failure.action for failure in self.failures)

    @property
    def perfect(self) -> bool:
        """Whether every check passed, and there were objects."""
        return not self.failures and self.passed[RELEASED] > 0

    def table(self, most: int = 40) -> str:
        """A table for people: checks by action, then failures grouped by what they are."""
        failed = self.failed
        lines = [f"{'action':22}{'passed':>9}{'failed':>9}{'per cent':>10}"]
        for action in (*ACTIONS, RELEASED, NO_LEAK):
            good, bad = self.passed[action], failed[action]
            if good + bad:
                lines.append(f"{action:22}{good:9}{bad:9}{100 * good / (good + bad):10.2f}")
        lines.append(f"objects refused where that is allowed: {self.refused}")
        groups: dict[tuple[str, str], list[Failure]] = defaultdict(list)
        for failure in sorted(self.failures):
            groups[failure.action, failure.path].append(failure)
        ordered = sorted(groups.items(), key=lambda pair: -len(pair[1]))
        for (action, path), members in ordered[:most]:
            first = members[0]
            lines.append(
                f"{len(members):5} × {action} {path}: {first.what} (object {first.serial})"
            )
        if len(ordered) > most:
            lines.append(f"… and {len(ordered) - most} more kinds")
        return "\n".join(lines)


def mapping(path: Path) -> dict[str, str]:
    """A mapping CSV."""
    with path.open(encoding="utf-8", newline="") as handle:
        return {row["id_old"]: row["id_new"] for row in csv.DictReader(handle)}


@dataclass(frozen=True)
class Sets:
    """What is scored, read once.

    Attributes:
        source: objects of the input set.
        objects, others: objects of the output set, and the other files in it.
        checks: of the answer database.
        free: values that may stay, of which no check asks anything.
        uids, patients: old to new.
    """

    source: Sequence[Read]
    objects: Sequence[Read]
    others: Sequence[Path]
    checks: Sequence[Answered]
    free: frozenset[str]
    uids: Mapping[str, str]
    patients: Mapping[str, str]


class Scorer:
    """Scores one output set."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        self.uids = sets.uids
        self.patients = sets.patients
        here = {str(one.dataset.SOPInstanceUID) for one in sets.source}
        self.checks = [check for check in sets.checks if check.sop_uid in here]
        self.by_uid = {str(one.dataset.get("SOPInstanceUID")): one for one in sets.objects}
        self.score = Score()
        self._shifts: dict[str, Counter[int]] = defaultdict(Counter)

    def run(self) -> Score:
        """All checks."""
        by_object: dict[str, list[Answered]] = defaultdict(list)
        for check in self.checks:
            by_object[check.sop_uid].append(check)
        for sop_uid, checks in by_object.items():
            one = self.by_uid.get(self.uids.get(sop_uid, ""))
            if one is None:
                self._missing(checks[0])
            else:
                self._good(RELEASED)
                for check in checks:
                    self._check(check, one)
        self._one_shift_per_patient()
        self._one_to_one()
        self._search()
        return self.score

    def _good(self, action: str) -> None:
        self.score.passed[action] += 1

    def _bad(self, action: str, serial: int, path: str, what: str) -> None:
        self.score.failures.append(Failure(action, serial, path, what))

    def _missing(self, check: Answered) -> None:
        if check.refusable:
            self.score.refused += 1
        else:
            self._bad(RELEASED, check.serial, "", "the object is not in the output")

    def _check(self, check: Answered, one: Read) -> None:
        what = self._wrong(check, one)
        if what is None:
            self._good(check.action)
        else:
            self._bad(check.action, check.serial, check.path, what)

    def _wrong(self, check: Answered, one: Read) -> str | None:
        """What is wrong, or None."""
        value = one.texts.get(check.path)
        if check.action == UID_CONSISTENT:
            if value is None:
                return None
            new = self.uids.get(check.value, "")
            return None if value == new else f"{value} instead of {new}"
        if check.action == PATID_CONSISTENT:
            new = self.patients.get(check.text, "")
            return None if value == new else f"{value} instead of {new}"
        if check.action == PIXELS_RETAINED:
            return None if digest(one.dataset) == check.text else "the samples changed"
        if check.action == PIXELS_HIDDEN:
            return box_is_covered(one.dataset, check.path, check.text)
        if check.action == DATE_SHIFTED and value:
            days = shifted_days(check.value, value)
            if days is None:
                return f"{check.value} became {value}, which is no shifted date"
            self._shifts[check.patient][days] += 1
        return check_value(check.action, value, check.text, check.value)

    def _one_shift_per_patient(self) -> None:
        for patient, shifts in self._shifts.items():
            days, _ = shifts.most_common(1)[0]
            for other, count in shifts.items():
                if other != days:
                    self._bad(
                        DATE_SHIFTED,
                        0,
                        f"patient {patient}",
                        f"{count} dates by {other} days, the others by {days}",
                    )
            if not -365 <= days <= -1:
                self._bad(DATE_SHIFTED, 0, f"patient {patient}", f"shifted by {days} days")
        usual = {shifts.most_common(1)[0][0] for shifts in self._shifts.values()}
        if len(self._shifts) > 5 and len(usual) < 3:
            self._bad(DATE_SHIFTED, 0, "all patients", "patients share one shift")

    def _one_to_one(self) -> None:
        """Two UIDs, or two patients, never become one."""
        for action, table in ((UID_CONSISTENT, self.uids), (PATID_CONSISTENT, self.patients)):
            for new, count in Counter(table.values()).items():
                if count > 1:
                    self._bad(action, 0, "mapping", f"{count} identities became {new}")

    def _search(self) -> None:
        dates = not any(check.action == DATE_SHIFTED for check in self.checks)
        search = LeakSearch(wanted(self.checks, dates=dates) - self.sets.free)
        for one in self.sets.objects:
            serial = int(one.dataset.get("InstanceNumber") or 0)
            clean = True
            for leak in search.in_object(one):
                clean = False
                self._bad(NO_LEAK, serial, leak.where, leak.value)
            if clean:
                self._good(NO_LEAK)
        for path in self.sets.others:
            text = f"{path.name} {path.read_text('utf-8', 'replace')}"
            found = list(search.in_text(text, path.name))
            for leak in found:
                self._bad(NO_LEAK, 0, leak.where, leak.value)
            if not found:
                self._good(NO_LEAK)


def score(source: Path, output: Path, database: Path, uids: Path, patients: Path) -> Score:
    """Score an output set."""
    objects, others = read_folder(output)
    sets = Sets(
        read_folder(source)[0],
        objects,
        others,
        list(answers.read(database)),
        answers.read_free(database),
        mapping(uids),
        mapping(patients),
    )
    return Scorer(sets).run()


def _main() -> Iterator[str]:
    started = datetime.now().astimezone()
    outcome = score(*(Path(argument) for argument in sys.argv[1:6]))
    yield outcome.table()
    yield f"{(datetime.now().astimezone() - started).total_seconds():.1f} s"
    if not outcome.perfect:
        raise SystemExit(1)


if __name__ == "__main__":
    for line in _main():
        print(line)
