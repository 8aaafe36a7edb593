"""The same SOP Instance UID again: stored once, or a conflict? (spec 01, section 1)"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.apps.archive.incoming import Outcome
from isocenter.apps.archive.staging import Staged
from isocenter.core.errors import ChildError, DicomError
from isocenter.core.isolation import Limits, run_isolated

#: Answers for two files: empty when they hold the same data set, else what differs.
Compare = Callable[[Path, Path, bool], str]


@dataclass(frozen=True)
class Known:
    """An instance that the archive has."""

    study_uid: str
    digest: str
    path: Path
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Judgement:
    """What is to become of a staged instance."""

    staged: Staged
    outcome: Outcome
    reason: str = ""


class Judge:
    """Judges batches; remembers comparisons, so that a second look under locks costs nothing.

    Args:
        policy: ``keep-first`` or ``replace``.
    """

    def __init__(self, policy: str, compare: Compare | None = None) -> None:
        self._policy = policy
        self._compare = compare or difference
        self._seen: dict[tuple[str, str, str], str] = {}

    def judge(
        self, batch: Iterable[Staged], archived: Mapping[str, Known], own: frozenset[str]
    ) -> list[Judgement]:
        """Judge instances that have different SOP Instance UIDs.

        Args:
            archived: by SOP Instance UID, what the archive has.
            own: SOP Instance UIDs of our own artifacts; those are never replaced.
        """
        return [self._one(staged, archived, own) for staged in batch]

    def _one(self, staged: Staged, known: Mapping[str, Known], own: frozenset[str]) -> Judgement:
        entry = staged.entry
        if entry is None:
            return Judgement(staged, Outcome.UNREADABLE, staged.problem)
        here = known.get(entry.sop_uid)
        if here is None:
            return Judgement(staged, Outcome.STORED)
        differing = self._difference(entry.sop_uid, here, staged)
        if not differing:
            return Judgement(staged, Outcome.DUPLICATE)
        if here.study_uid != entry.study_uid:
            reason = f"the same SOPInstanceUID is in study {here.study_uid} already"
            return Judgement(staged, Outcome.CONFLICT, reason)
        reason = f"another data set with this SOPInstanceUID is here: {differing}"
        is_replaced = self._policy == "replace" and entry.sop_uid not in own
        if not is_replaced:
            return Judgement(staged, Outcome.CONFLICT, reason)
        reason = f"replaced by another data set with its SOPInstanceUID: {differing}"
        return Judgement(staged, Outcome.REPLACED, reason)

    def _difference(self, sop_uid: str, here: Known, staged: Staged) -> str:
        if here.digest == staged.digest and here.transfer_syntax_uid == staged.transfer_syntax_uid:
            return ""
        key = (sop_uid, here.digest, staged.digest)
        if key not in self._seen:
            same_syntax = here.transfer_syntax_uid == staged.transfer_syntax_uid
            self._seen[key] = self._compare(here.path, staged.path, same_syntax)
        return self._seen[key]


def difference(first: Path, second: Path, same_syntax: bool) -> str:
    """What differs between two files' data sets; empty when nothing does.

    Where the syntaxes differ, pixels have to be decoded: that happens in a child process. What
    cannot be compared counts as different, so that both are kept.
    """
    from isocenter.core.dicom.compare import same_data_set

    try:
        if same_syntax:
            found = same_data_set(first, second)
            return "" if found is None else str(found)
        with tempfile.TemporaryDirectory(prefix="isocenter-compare-") as folder:
            answer = run_isolated(
                "isocenter.apps.archive.judging:compare_job",
                {"first": str(first), "second": str(second)},
                work_dir=Path(folder),
                limits=Limits(memory_bytes=2 << 30, timeout_s=300),
            )
        return str(answer["difference"])
    except (DicomError, ChildError) as error:
        return f"they could not be compared: {error}"


def compare_job(request: dict[str, Any], progress: object) -> dict[str, Any]:
    """``difference`` in a child process."""
    from isocenter.core.dicom.compare import same_data_set

    found = same_data_set(Path(request["first"]), Path(request["second"]))
    return {"difference": "" if found is None else str(found)}
