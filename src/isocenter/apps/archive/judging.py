"""The same SOP Instance UID again: stored once, or a conflict? (spec 01, section 1)"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.apps.archive.incoming import Outcome
from isocenter.apps.archive.staging import Staged
from isocenter.core.errors import ChildError, DicomError
from isocenter.core.isolation import Limits, run_isolated

_LIMITS = Limits(memory_bytes=2 << 30, timeout_s=600)


@dataclass(frozen=True)
class Pair:
    """Two files that may hold the same data set."""

    first: Path
    second: Path
    same_syntax: bool


#: Answers for each pair: empty when both hold the same data set, else what differs.
Compare = Callable[[Sequence[Pair]], list[str]]


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
        self._compare = compare or differences
        self._seen: dict[tuple[str, str, str], str] = {}

    def judge(
        self, batch: Sequence[Staged], archived: Mapping[str, Known], own: frozenset[str]
    ) -> list[Judgement]:
        """Judge instances that have different SOP Instance UIDs.

        Args:
            archived: by SOP Instance UID, what the archive has.
            own: SOP Instance UIDs of our own artifacts; those are never replaced.
        """
        self._look(batch, archived)
        return [self._one(staged, archived, own) for staged in batch]

    def _look(self, batch: Sequence[Staged], archived: Mapping[str, Known]) -> None:
        """Compare what has to be compared and was not yet."""
        wanted: dict[tuple[str, str, str], Pair] = {}
        for staged in batch:
            here = archived.get(staged.entry.sop_uid) if staged.entry else None
            if here is None or _is_identical(here, staged):
                continue
            key = _key(here, staged)
            if key not in self._seen:
                same_syntax = here.transfer_syntax_uid == staged.transfer_syntax_uid
                wanted[key] = Pair(here.path, staged.path, same_syntax)
        if wanted:
            answers = self._compare(list(wanted.values()))
            self._seen.update(zip(wanted, answers, strict=True))

    def _one(self, staged: Staged, archived: Mapping[str, Known], own: frozenset[str]) -> Judgement:
        entry = staged.entry
        if entry is None:
            return Judgement(staged, Outcome.UNREADABLE, staged.problem)
        here = archived.get(entry.sop_uid)
        if here is None:
            return Judgement(staged, Outcome.STORED)
        if not here.path.exists():
            return Judgement(staged, Outcome.CONFLICT, "the archive has lost its copy; here is one")
        differing = "" if _is_identical(here, staged) else self._seen[_key(here, staged)]
        if not differing:
            return Judgement(staged, Outcome.DUPLICATE)
        if here.study_uid != entry.study_uid:
            reason = f"the same SOPInstanceUID is in study {here.study_uid} already"
            return Judgement(staged, Outcome.CONFLICT, reason)
        if self._policy == "replace" and entry.sop_uid not in own:
            reason = f"replaced by another data set with its SOPInstanceUID: {differing}"
            return Judgement(staged, Outcome.REPLACED, reason)
        reason = f"another data set with this SOPInstanceUID is here: {differing}"
        return Judgement(staged, Outcome.CONFLICT, reason)


def _is_identical(here: Known, staged: Staged) -> bool:
    return (here.digest, here.transfer_syntax_uid) == (staged.digest, staged.transfer_syntax_uid)


def _key(here: Known, staged: Staged) -> tuple[str, str, str]:
    sop_uid = staged.entry.sop_uid if staged.entry else ""
    return sop_uid, here.digest, f"{staged.digest} {staged.transfer_syntax_uid}"


def differences(pairs: Sequence[Pair]) -> list[str]:
    """What differs in each pair; empty where nothing does.

    Where the syntaxes differ, pixels have to be decoded: that happens in a child process, one for
    all such pairs. What cannot be compared counts as different, so that both are kept.
    """
    apart = [pair for pair in pairs if not pair.same_syntax]
    answers = dict(zip(apart, _in_child(apart), strict=True))
    return [answers[pair] if pair in answers else _difference(pair) for pair in pairs]


def _in_child(pairs: Sequence[Pair]) -> list[str]:
    if not pairs:
        return []
    request = {"pairs": [[str(pair.first), str(pair.second)] for pair in pairs]}
    try:
        with tempfile.TemporaryDirectory(prefix="isocenter-compare-") as folder:
            answer = run_isolated(
                f"{__name__}:compare_job", request, work_dir=Path(folder), limits=_LIMITS
            )
        return [str(item) for item in answer["differences"]]
    except ChildError as error:
        if len(pairs) == 1:
            return [f"they could not be compared: {error}"]
        # One pair that kills a decoder must not decide about the others.
        middle = len(pairs) // 2
        return [*_in_child(pairs[:middle]), *_in_child(pairs[middle:])]


def compare_job(request: dict[str, Any], progress: object) -> dict[str, Any]:
    """The child's part of `differences`."""
    return {
        "differences": [
            _difference(Pair(Path(first), Path(second), same_syntax=False))
            for first, second in request["pairs"]
        ]
    }


def _difference(pair: Pair) -> str:
    from isocenter.core.dicom.compare import same_data_set

    try:
        found = same_data_set(pair.first, pair.second)
    except (DicomError, OSError) as error:
        return f"they could not be compared: {error}"
    return "" if found is None else str(found)
