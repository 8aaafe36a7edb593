"""The end of a study's way: it is released or held, and told of in reports, logs and reasons."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from isocenter import __version__
from isocenter.core.deid.orders import Run, Study, new_study_uid
from isocenter.core.deid.proof.report import ObjectReport, StudyReport, attribute_at
from isocenter.core.deid.releasing import release
from isocenter.core.deid.standard.table import Table
from isocenter.core.deid.workers import Done, Seen
from isocenter.core.dicom.uids import safe_path_component

REASONS = "reasons.json"
ACTIONS = "actions"


def untouched(study: Study) -> tuple[ObjectReport, ...]:
    """The objects of a study that was not begun, for its report."""
    return tuple(ObjectReport("", "", "", refused=study.reason) for _ in study.seen)


def finish(study: Study, run: Run) -> StudyReport:
    """Release a study, or hold it back; what was found in it tells.

    Raises:
        OSError: a folder cannot be written.
    """
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


def _report(study: Study, run: Run) -> StudyReport:
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
            one.excused,
        )
        for one in done
    )
    findings = tuple((one.sop_uid, where, kind) for one in done for where, kind in one.findings)
    actions: Counter[str] = Counter()
    for one in done:
        actions.update(one.actions)
    searched = sum(one.target is not None for one in done)
    known = order.identifiers.terms(run.policy) if searched else ()
    terms = Counter(term.kind for term in known)
    terms.update({"date": len(order.identifiers.days), "uid": len(order.identifiers.uids)})
    report = StudyReport(
        "released",
        new_study_uid(study, run),
        order.alias.patient_id,
        objects=objects,
        actions=actions,
        findings=findings,
        searched=searched,
        terms=terms,
    )
    if findings:
        return replace(report, state="held", reason=_why_held(done))
    if run.whole_studies and not all(one.dropped for one in report.refused):
        return replace(report, state="refused", reason="an object of it was refused")
    if len(report.refused) == len(objects):
        return replace(report, state="refused", reason="all of its objects were refused")
    return report


def _why_held(done: Sequence[Done]) -> str:
    """That something was found, and which of the site's rules let it through."""
    places: dict[str, set[str]] = {}
    for one in done:
        for where, rule in one.let_through:
            places.setdefault(rule, set()).add(attribute_at(where))
    told = [f"{rule} lets {', '.join(sorted(names))} through" for rule, names in places.items()]
    return "; ".join(["the verifier found what identifies", *sorted(told)])


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


def tell_reasons(quarantine: Path, unreadable: Sequence[Seen], studies: Sequence[Study]) -> None:
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
