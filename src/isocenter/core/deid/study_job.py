"""De-identifying a study in a child process: JSON in, JSON out (see ``core.isolation``).

What is secret comes through the private pipe: no file, log or answer has it.
"""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from isocenter.core.deid.orders import Run
from isocenter.core.deid.outcomes import ACTIONS
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.report import BatchReport, StudyReport, write
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.study import deidentify_paths
from isocenter.core.dicom.reading import header_of
from isocenter.core.errors import Refused
from isocenter.core.isolation import Progress

OBJECTS = "objects"
REPORTS = "report"
_HELD = "held"


@dataclass(frozen=True)
class StudyInstructions:
    """What the child must know and nobody may read.

    Attributes:
        secret: of the project.
        policy: of the project.
        alias: of the patient, whom the parent has looked up.
        words: that free text may keep besides those that are shipped, folded.
    """

    secret: Secret
    policy: Policy = field(repr=False)
    alias: PatientAlias = field(repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)

    def sealed(self) -> bytes:
        """For the private pipe."""
        return pickle.dumps(self)

    @classmethod
    def opened(cls, data: bytes) -> Self:
        """From the private pipe.

        Raises:
            TypeError: something else was sent.
        """
        found = pickle.loads(data)  # noqa: S301 - from our own parent
        if not isinstance(found, cls):
            raise TypeError("no instructions")
        return found


@dataclass(frozen=True)
class OnePatient:
    """Pseudonyms of a study whose patient is known."""

    alias: PatientAlias

    def alias_for(self, key: PatientKey, attributes: Mapping[str, str]) -> PatientAlias | None:
        """The alias; that the objects are of one patient is checked before."""
        return self.alias


def run(request: dict[str, Any], progress: Progress, private: bytes) -> dict[str, Any]:
    """Runs `deidentify_paths` on one study.

    Request: ``inputs``: objects with ``path`` and ``sop_uid``; ``out_dir``; ``whole_studies``;
    ``processes``; ``stamp``: given back as it is.

    Result: ``stamp``; ``state`` and ``reason`` as the report has them; ``outputs``: ``path``,
    ``input`` (its place in ``inputs``), ``sop_uid``, ``series_uid``, ``sop_class_uid``;
    ``reports``: paths; ``refused``, ``dropped``, ``skipped``, ``findings``: counts by reason,
    where a finding is ``name at (0010,4000)``; ``excused``: ``where`` and ``objects``, see
    :attr:`StudyReport.kept_in`, and ``kept``: its counts by keyword. Nothing of it identifies.

    Raises:
        Refused: the files are of no study or of several.
        ConfigurationError, OSError: as `deidentify_paths`.
    """
    told = StudyInstructions.opened(private)
    out_dir = Path(request["out_dir"])
    out = out_dir / OBJECTS
    whole = bool(request.get("whole_studies", True))
    report = _deidentify(request, told, progress, whole_studies=whole)
    if len(report.studies) != 1:
        raise Refused(f"the files are of {len(report.studies)} studies, where one is wanted")
    write(report, out_dir / REPORTS)
    (study,) = report.studies
    is_released = study.state == "released" and not (whole and report.unreadable)
    if not is_released:
        shutil.rmtree(out, ignore_errors=True)
    return {
        "stamp": request.get("stamp", {}),
        "state": study.state if is_released or study.state != "released" else "refused",
        "reason": study.reason or ("" if is_released else "an object of it cannot be read"),
        "outputs": _outputs(out, study, request["inputs"], told) if is_released else [],
        "reports": [str(path) for path in _reports(out_dir)],
        **_counts(report, study),
    }


def _deidentify(
    request: Mapping[str, Any], told: StudyInstructions, progress: Progress, *, whole_studies: bool
) -> BatchReport:
    out_dir = Path(request["out_dir"])
    order = Run(
        out_dir / OBJECTS,
        told.policy,
        told.secret,
        OnePatient(told.alias),
        out_dir / _HELD,
        lexicon=told.words,
        whole_studies=whole_studies,
    )
    try:
        return deidentify_paths(
            [Path(item["path"]) for item in request["inputs"]],
            order,
            processes=int(request.get("processes", 1)),
            on_progress=progress,
        )
    finally:
        shutil.rmtree(out_dir / _HELD, ignore_errors=True)  # it stays with the originals


def new_uid(sop_uid: str, told: StudyInstructions) -> str:
    """The SOP Instance UID of what becomes of an object."""
    if Option.RETAIN_UIDS in told.policy.options:
        return sop_uid
    return told.secret.uid(sop_uid, is_instance=True)


def _outputs(
    out: Path, study: StudyReport, inputs: Sequence[Mapping[str, str]], told: StudyInstructions
) -> list[dict[str, Any]]:
    """What leaves, each with what it was made of.

    Raises:
        Refused: a file is there that nothing was to become.
    """
    by_uid = {new_uid(item["sop_uid"], told): place for place, item in enumerate(inputs)}
    outputs = []
    for path in sorted(out.glob("*/*/*.dcm")):
        meta, header = header_of(path)
        place = by_uid.get(header.sop_uid)
        if (
            place is None
            or meta.sop_instance_uid != header.sop_uid
            or header.study_uid != study.study_uid
        ):
            raise Refused("an object came out that is none of the study's")
        outputs.append(
            {
                "path": str(path),
                "input": place,
                "sop_uid": header.sop_uid,
                "series_uid": header.series_uid,
                "sop_class_uid": header.sop_class_uid,
            }
        )
    return outputs


def _reports(out_dir: Path) -> Iterator[Path]:
    """The report and the action log, beside each other."""
    folder = out_dir / REPORTS
    for number, log in enumerate(sorted((out_dir / OBJECTS / ACTIONS).glob("*.jsonl")), start=1):
        log.rename(folder / (f"actions-{number}.jsonl" if number > 1 else "actions.jsonl"))
    yield from sorted(path for path in folder.iterdir() if path.is_file())


def _counts(report: BatchReport, study: StudyReport) -> dict[str, Any]:
    refused = Counter(one.refused or "" for one in study.refused if not one.dropped)
    refused.update(report.unreadable)
    return {
        "objects": len(study.objects),
        "refused": dict(refused),
        "dropped": dict(Counter(one.refused or "" for one in study.refused if one.dropped)),
        "skipped": dict(report.skipped),
        "findings": dict(Counter(f"{kind} at {where}" for _, where, kind in study.findings)),
        "excused": study.kept_in,
        "kept": study.kept_by_rule,
    }
