"""De-identifies studies: looks at all objects, then writes and verifies each, then lets go.

Nothing is in the output folder before its whole study was searched: new files are written to a
work folder beside it and renamed. What must not leave is told of in the quarantine folder.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from isocenter.core.deid.orders import Run, Study, grouped, new_study_uid, prepare
from isocenter.core.deid.outcomes import ACTIONS, REASONS, finish, tell_reasons, untouched
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.pool import Pool, Task
from isocenter.core.deid.proof.report import BatchReport, StudyReport
from isocenter.core.deid.pseudonyms.issuing import Pseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.releasing import work_folder
from isocenter.core.deid.workers import Done, Seen, deface_some, deidentify_some, look_at
from isocenter.core.errors import Refused

__all__ = [
    "ACTIONS",
    "REASONS",
    "Progress",
    "Run",
    "default_quarantine",
    "deidentify_paths",
    "deidentify_study",
]

Progress = Callable[[float, str], None]

#: Files and bytes of them that one process does in less than a third of a second.
FEW_FILES, LITTLE_BYTES = 256, 64 << 20

_DIED = "the process that worked on it died"


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
    if _is_little(files, run.policy):
        processes = 1
    with work_folder(run.out) as work, Pool(processes) as pool:
        seen = _look(files, pool, tell)
        studies = grouped(seen)
        if only_one and len(studies) != 1:
            raise Refused(f"the files are of {len(studies)} studies, where one is wanted")
        for number, study in enumerate(studies):
            prepare(study, run, Path(work) / f"{number:06}")
        reports = list(_deidentify(studies, pool, run, tell))
    unreadable = [one for one in seen if not one.skipped and (one.problem or not one.study_uid)]
    if not run.dry_run:
        tell_reasons(run.quarantine, unreadable, studies)
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


def _is_little(files: Sequence[Path], policy: Policy) -> bool:
    """Whether one process is done before others have been started.

    Where pixels are decoded there are always others: each image takes long, and a codec that dies
    takes its process with it.
    """
    if policy.pixels != "off" or policy.faces != "ignore" or len(files) >= FEW_FILES:
        return False
    return sum(path.stat().st_size for path in files if path.exists()) < LITTLE_BYTES


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


def _deidentify(
    studies: Sequence[Study], pool: Pool, run: Run, tell: Progress
) -> Iterator[StudyReport]:
    by_uid = {study.uid: study for study in studies}
    total = max(1, sum(len(study.seen) for study in studies if study.order))
    count = 0
    for study in studies:
        if study.order is None:
            uid = new_study_uid(study, run)
            yield StudyReport("refused", uid, reason=study.reason, objects=untouched(study))
    for task, results in pool.run(_tasks(studies, pool.chunk(total))):
        study = by_uid[task.first[1]]
        study.done += results
        study.waiting -= len(task.items)
        count += len(task.items)
        if study.waiting == 0:
            if run.policy.faces == "deface":
                _deface(study, pool)
            yield finish(study, run)
        tell(0.2 + 0.8 * count / total, f"{count} of {total} objects de-identified")


def _deface(study: Study, pool: Pool) -> None:
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


def _tasks(studies: Sequence[Study], chunk: int) -> Iterator[Task]:
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
