"""De-identifies studies: looks at all objects, then writes and verifies each, then lets go.

Nothing is in the output folder before its whole study was searched: new files are written to a
work folder beside it and renamed. What must not leave is told of in the quarantine folder.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from isocenter import __version__
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.pool import Pool, Task
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.report import BatchReport, ObjectReport, StudyReport
from isocenter.core.deid.proof.verifier import DUMMY_DAYS, Allowed
from isocenter.core.deid.pseudonyms.dates import shift_date
from isocenter.core.deid.pseudonyms.issuing import Pseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.releasing import release, work_folder
from isocenter.core.deid.standard.table import Table
from isocenter.core.deid.workers import Done, Order, Seen, deface_some, deidentify_some, look_at
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import ConfigurationError, Refused

Progress = Callable[[float, str], None]

_DIED = "the process that worked on it died"
REASONS = "reasons.json"
ACTIONS = "actions"


@dataclass(frozen=True)
class Run:
    """What is the same for all studies of a run.

    Attributes:
        out: folder of what leaves: ``<study>/<series>/<object>.dcm`` by new UIDs.
        quarantine: folder of what does not: reasons, and studies that are held.
        lexicon: a site's own words that free text may keep, folded.
        whole_studies: a study of which an object is refused is held as a whole.
        dry_run: everything is done and verified, nothing released.
        log_actions: write the action log of each study to ``actions`` below `out`.
    """

    out: Path
    policy: Policy
    secret: Secret
    pseudonyms: Pseudonyms
    quarantine: Path
    lexicon: tuple[str, ...] = ()
    whole_studies: bool = False
    dry_run: bool = False
    log_actions: bool = True


@dataclass
class _Study:
    """One study on its way."""

    uid: str
    seen: list[Seen]
    order: Order | None = None
    reason: str = ""
    waiting: int = 0
    done: list[Done] = field(default_factory=list)


def deidentify_study(
    paths: Iterable[Path],
    out_dir: Path,
    policy: Policy,
    secret: Secret,
    pseudonyms: Pseudonyms,
    *,
    processes: int = 1,
    on_progress: Progress | None = None,
    quarantine: Path | None = None,
) -> StudyReport:
    """De-identify the objects of one study; nothing is in `out_dir` if the verifier finds a thing.

    Raises:
        Refused: the files are of no study, or of several.
        ConfigurationError: `out_dir` cannot be used.
        OSError: a folder cannot be written.
    """
    run = Run(out_dir, policy, secret, pseudonyms, quarantine or default_quarantine(out_dir))
    report = deidentify_paths(
        paths, run, processes=processes, on_progress=on_progress, only_one=True
    )
    return report.studies[0]


def deidentify_paths(
    paths: Iterable[Path],
    run: Run,
    *,
    processes: int = 1,
    on_progress: Progress | None = None,
    only_one: bool = False,
) -> BatchReport:
    """De-identify files, study by study, in as many processes as wanted.

    The result does not depend on the number of processes.

    Raises:
        Refused: `only_one`, and the files are of no study or of several.
        ConfigurationError: the output folder cannot be used.
        OSError: a folder cannot be written.
    """
    tell = on_progress or (lambda fraction, message: None)
    files = sorted(set(paths))
    with work_folder(run.out) as work, Pool(processes) as pool:
        seen = _look(files, pool, tell)
        studies = _grouped(seen)
        if only_one and len(studies) != 1:
            raise Refused(f"the files are of {len(studies)} studies, where one is wanted")
        for number, study in enumerate(studies):
            _prepare(study, run, Path(work) / f"{number:06}")
        reports = list(_deidentify(studies, pool, run, tell))
    unreadable = [one for one in seen if not one.skipped and (one.problem or not one.study_uid)]
    if not run.dry_run:
        _tell_reasons(run.quarantine, unreadable, studies)
    return BatchReport(
        run.policy,
        tuple(sorted(reports, key=lambda report: report.study_uid)),
        skipped=Counter(one.skipped for one in seen if one.skipped),
        unreadable=Counter(one.problem or "no Study Instance UID" for one in unreadable),
        dry_run=run.dry_run,
    )


def default_quarantine(out: Path) -> Path:
    """``OUT.quarantine`` beside the output folder."""
    return out.with_name(f"{out.name}.quarantine")


def _look(files: Sequence[Path], pool: Pool, tell: Progress) -> list[Seen]:
    size = pool.chunk(len(files))
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    tasks = iter([Task(_look_at, None, chunk, partial(Seen, problem=_DIED)) for chunk in chunks])
    seen: list[Seen] = []
    for _, found in pool.run(tasks):
        seen += found
        tell(0.2 * len(seen) / max(1, len(files)), f"{len(seen)} of {len(files)} files looked at")
    return sorted(seen, key=lambda one: one.path)


def _look_at(_: None, paths: Sequence[Path]) -> list[Seen]:
    return look_at(paths)


def _grouped(seen: Iterable[Seen]) -> list[_Study]:
    by_uid: dict[str, list[Seen]] = {}
    for one in seen:
        if not one.skipped and not one.problem and one.study_uid:
            by_uid.setdefault(one.study_uid, []).append(one)
    # Objects with the same UID are neighbours, in a process and an order that never change.
    return [
        _Study(uid, sorted(members, key=lambda one: (one.sop_uid, one.path)))
        for uid, members in sorted(by_uid.items())
    ]


def _prepare(study: _Study, run: Run, work: Path) -> None:
    """Give a study its alias and order, or the reason why it cannot be begun."""
    keys = {one.patient for one in study.seen}
    known = {key for key in keys if key.issuer}
    if len({key.patient_id for key in keys}) == 1 and len(known) == 1:
        keys = known  # some objects of a study leave the issuer out
    if len(keys) != 1:
        study.reason = "its objects are of different patients"
        return
    attributes: dict[str, str] = {}
    for one in study.seen:
        attributes = {**one.attributes, **attributes}
    key = PatientKey(*keys.pop())
    try:
        alias = run.pseudonyms.alias_for(key, attributes)
    except ConfigurationError as error:
        study.reason = str(error)
        return
    if alias is None:
        study.reason = "Patient ID is empty" if key.is_empty else "no pseudonym for this patient"
        return
    identifiers = Identifiers.merged(one.identifiers for one in study.seen)
    days = set(DUMMY_DAYS)
    if run.policy.dates == "shift":
        days |= {shift_date(day, alias.day_shift) or "" for day in identifiers.days}
    texts = frozenset((alias.patient_id, alias.patient_name))
    allowed = Allowed(texts, frozenset(days), alias)
    work.mkdir()
    study.order = Order(run.secret, run.policy, alias, identifiers, allowed, work, run.lexicon)


def _deidentify(
    studies: Sequence[_Study], pool: Pool, run: Run, tell: Progress
) -> Iterator[StudyReport]:
    by_uid = {study.uid: study for study in studies}
    total = max(1, sum(len(study.seen) for study in studies if study.order))
    count = 0
    for study in studies:
        if study.order is None:
            uid = _new_uid(study, run)
            yield StudyReport("refused", uid, reason=study.reason, objects=_untouched(study))
    for task, results in pool.run(_tasks(studies, pool.chunk(total))):
        study = by_uid[task.first[1]]
        study.done += results
        study.waiting -= len(task.items)
        count += len(task.items)
        if study.waiting == 0:
            if run.policy.faces == "deface":
                _deface(study, pool)
            yield _finish(study, run)
        tell(0.2 + 0.8 * count / total, f"{count} of {total} objects de-identified")


def _deface(study: _Study, pool: Pool) -> None:
    """Take the face out of every series that has one; where that fails, the series is refused."""
    heads = {done.series_uid for done in study.done if done.is_head and done.target}
    for series_uid in sorted(heads):
        members = [done for done in study.done if done.series_uid == series_uid and done.target]
        paths = sorted({done.target for done in members if done.target})
        task = Task(deface_some, None, [paths], lambda _: _DIED)
        ((_, (refused,)),) = pool.run(iter([task]))
        if refused is None:
            continue
        for path in paths:
            path.unlink()
        for done in members:
            place = study.done.index(done)
            study.done[place] = replace(done, target=None, refused=refused, findings=())


def _untouched(study: _Study) -> tuple[ObjectReport, ...]:
    return tuple(ObjectReport("", "", "", refused=study.reason) for _ in study.seen)


def _tasks(studies: Sequence[_Study], chunk: int) -> Iterator[Task]:
    for study in studies:
        if study.order is None:
            continue
        study.waiting = len(study.seen)
        order = pickle.dumps(study.order)
        numbered = [(n, one.path, one.needs_pixels) for n, one in enumerate(study.seen)]
        start = 0
        while start < len(numbered):
            end = start + chunk
            while end < len(numbered) and study.seen[end].sop_uid == study.seen[end - 1].sop_uid:
                end += 1
            yield Task(_deidentify_some, (order, study.uid), numbered[start:end], _lost)
            start = end


def _deidentify_some(
    first: tuple[bytes, str], items: Sequence[tuple[int, Path, bool]]
) -> list[Done]:
    return deidentify_some(first[0], items)


def _lost(item: tuple[int, Path, bool]) -> Done:
    return Done(item[1], refused=_DIED)


def _finish(study: _Study, run: Run) -> StudyReport:
    """Release a study or hold it back."""
    assert study.order is not None
    study.done.sort(key=lambda done: (done.sop_uid, done.source))
    report = _report(study, run)
    work = study.order.work
    if run.dry_run:
        shutil.rmtree(work)
    elif report.state == "released":
        for part in work.glob("*.dcm"):  # left by a process that died
            part.unlink()
        release(work, run.out / safe_path_component(report.study_uid))
        _write_log(run, report, study.done)
    elif report.findings:
        run.quarantine.mkdir(parents=True, exist_ok=True)
        target = run.quarantine / safe_path_component(report.study_uid)
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)
    else:
        shutil.rmtree(work)
    return report


def _report(study: _Study, run: Run) -> StudyReport:
    assert study.order is not None
    order, done = study.order, study.done
    objects = tuple(
        ObjectReport(
            one.sop_uid,
            one.series_uid,
            one.sop_class_uid,
            one.refused,
            one.dropped,
            one.regions,
            one.pixels,
        )
        for one in done
    )
    findings = tuple((one.sop_uid, where, kind) for one in done for where, kind in one.findings)
    actions: Counter[str] = Counter()
    for one in done:
        actions.update(one.actions)
    terms = Counter(term.kind for term in order.identifiers.terms(run.policy))
    terms.update({"date": len(order.identifiers.days), "uid": len(order.identifiers.uids)})
    report = StudyReport(
        "released",
        _new_uid(study, run),
        order.alias.patient_id,
        objects=objects,
        actions=actions,
        findings=findings,
        searched=sum(one.target is not None for one in done),
        terms=terms,
        excused=Counter(where for one in done for where in one.excused),
    )
    if findings:
        return replace(report, state="held", reason="the verifier found what identifies")
    if run.whole_studies and not all(one.dropped for one in report.refused):
        return replace(report, state="refused", reason="an object of it was refused")
    if len(report.refused) == len(objects):
        return replace(report, state="refused", reason="all of its objects were refused")
    return report


def _new_uid(study: _Study, run: Run) -> str:
    """As the objects have it; where none was done, as they would have it."""
    found = next((one.study_uid for one in study.done if one.study_uid), "")
    if found:
        return found
    is_kept = Option.RETAIN_UIDS in run.policy.options
    return study.uid if is_kept else run.secret.uid(study.uid, is_instance=True)


def _write_log(run: Run, report: StudyReport, done: Sequence[Done]) -> None:
    """The action log of a study: a line that says with what, then a line for each object."""
    if not run.log_actions:
        return
    folder = run.out / ACTIONS
    folder.mkdir(exist_ok=True)
    head = {
        "study_uid": report.study_uid,
        "software": f"Isocenter {__version__}",
        "table_edition": Table.load().edition,
        "policy": run.policy.digest(),
        "columns": ["path", "vr", "rule", "action", "old", "new"],
    }
    lines = [json.dumps(head), *(one.log for one in done if one.log)]
    (folder / f"{safe_path_component(report.study_uid)}.jsonl").write_text(
        "\n".join(lines) + "\n", "utf-8"
    )


def _tell_reasons(quarantine: Path, unreadable: Sequence[Seen], studies: Sequence[_Study]) -> None:
    """Which files did not leave and why; it names the originals, so it stays in the house."""
    reasons: list[dict[str, Any]] = [
        {"file": str(one.path), "reason": one.problem or "no Study Instance UID"}
        for one in unreadable
    ]
    for study in studies:
        if study.reason:
            reasons += [{"file": str(one.path), "reason": study.reason} for one in study.seen]
        for done in study.done:
            if done.refused is not None:
                reasons.append({"file": str(done.source), "reason": done.refused})
            elif done.findings:
                where = sorted({f"{kind} at {place}" for place, kind in done.findings})
                reasons.append({"file": str(done.source), "reason": "found: " + ", ".join(where)})
    if reasons:
        quarantine.mkdir(parents=True, exist_ok=True)
        reasons.sort(key=lambda entry: str(entry["file"]))
        text = json.dumps(reasons, indent=2, ensure_ascii=False) + "\n"
        (quarantine / REASONS).write_text(text, "utf-8")
