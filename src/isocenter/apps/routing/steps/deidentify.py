"""Step ``deidentify``: takes the patient's identity away, as a project says (PS3.15 Annex E)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from pydantic import Field

from isocenter import __version__
from isocenter.apps.routing.steps.base import (
    RECEIVED_KIND,
    Call,
    InputArtifact,
    Made,
    Request,
    Step,
    StepContext,
    StepParameters,
    StepRefused,
    StepResult,
)
from isocenter.core.deid.proof.report import by_attribute
from isocenter.core.deid.study_job import StudyInstructions

REPORT_KIND = "report"


class DeidentifyParameters(StepParameters):
    """By which rules."""

    project: str = Field(
        min_length=1, max_length=64, description="whose secret, policy and pseudonyms count"
    )
    on_refused: Literal["quarantine", "skip"] | None = Field(
        None,
        description="an object that must not leave holds its study back, or is left out; "
        "empty: as the project says",
    )


@dataclass(frozen=True)
class _Input:
    """A file to de-identify."""

    path: Path
    sop_uid: str
    digest: str
    kind: str
    role: str


class Deidentify(Step):
    """De-identifies and searches the study: the steps after it see nothing else.

    What earlier steps made goes the same way where it is DICOM; where it is not, it stays.
    """

    name = "deidentify"
    version = "2"
    target = "isocenter.core.deid.study_job:run"
    parameters = DeidentifyParameters
    makes = (RECEIVED_KIND, REPORT_KIND)

    def prepare(
        self, context: StepContext, parameters: DeidentifyParameters
    ) -> Call | Request | StepResult:
        # With the database: the registry of steps is read without it.
        from isocenter.apps.routing.identity import open_project

        inputs = _inputs(context)
        if not inputs:
            raise StepRefused("there is nothing to de-identify")
        project = open_project(parameters.project, context.received)
        order = project.order
        is_whole = order.whole_studies
        if parameters.on_refused is not None:
            is_whole = parameters.on_refused == "quarantine"
        sources = sorted(f"{item.sop_uid} {item.digest} {item.kind}" for item in inputs)
        parts = [project.domain, __version__, self.version, str(is_whole), *sources]
        determinant = order.secret.hash_text("artifacts\n" + "\n".join(parts), 64)
        stamp = {
            "project": order.name,
            "version": order.version,
            "domain": project.domain,
            "determinant": determinant,
        }
        if determinant in context.known:
            return _kept(context, stamp)
        told = StudyInstructions(order.secret, order.policy, project.alias, order.words)
        values = {
            "inputs": [{"path": str(item.path), "sop_uid": item.sop_uid} for item in inputs],
            "out_dir": str(context.work_dir),
            "whole_studies": is_whole,
            "processes": settings.ISOCENTER.deid.processes,
            "stamp": stamp,
        }
        return Request(values, told.sealed())

    def finish(
        self, context: StepContext, parameters: DeidentifyParameters, answer: Call
    ) -> StepResult:
        if answer["state"] != "released":
            raise StepRefused(_why_not(answer))
        stamp: Mapping[str, Any] = answer["stamp"]
        inputs = _inputs(context)
        outputs = [_made(item, inputs, stamp["determinant"]) for item in answer["outputs"]]
        reports = [
            Made(REPORT_KIND, Path(path).name, Path(path), stamp["determinant"])
            for path in answer["reports"]
        ]
        return StepResult(
            made=(*outputs, *reports),
            consumed=_consumed(context),
            message=_said(context, answer),
            data={
                "stamp": dict(stamp),
                "objects": len(outputs),
                "left_out": {**answer["refused"], **answer["dropped"], **answer["skipped"]},
                "excused": list(answer["excused"]),
                "kept_by_rule": dict(answer["kept"]),
            },
            domain=stamp["domain"],
        )


def _inputs(context: StepContext) -> list[_Input]:
    """What goes in, in a stable order."""
    received = [
        _Input(item.path, item.sop_uid, item.digest, RECEIVED_KIND, "")
        for item in context.instances
    ]
    made = [
        _Input(item.path, item.sop_uid, item.digest, item.kind, item.role)
        for item in _dicom(context)
    ]
    return sorted((*received, *made), key=lambda item: (item.sop_uid, str(item.path)))


def _dicom(context: StepContext) -> list[InputArtifact]:
    return [item for item in context.artifacts if item.sop_uid]


def _consumed(context: StepContext) -> frozenset[int]:
    return frozenset(item.id for item in _dicom(context))


def _made(item: Mapping[str, Any], inputs: Sequence[_Input], determinant: str) -> Made:
    source = inputs[item["input"]]
    return Made(
        kind=source.kind,
        role=source.role,
        path=Path(item["path"]),
        determinant=determinant,
        sop_uid=item["sop_uid"],
        series_uid=item["series_uid"],
        sop_class_uid=item["sop_class_uid"],
    )


def _kept(context: StepContext, stamp: Mapping[str, Any]) -> StepResult:
    """The same objects, project and policy as an earlier time: the same bytes."""
    from isocenter.apps.routing.identity import report_before

    determinant = stamp["determinant"]
    before = report_before(determinant)
    kept = by_attribute(before["verifier"]["kept_by_rule"])
    message = f"{before['objects']['released']} objects as an earlier run de-identified them"
    return StepResult(
        reused=frozenset((determinant,)),
        consumed=_consumed(context),
        message="; ".join((message, *_told_kept(kept))),
        data={
            "stamp": dict(stamp),
            "objects": before["objects"]["released"],
            "left_out": dict(Counter(item["reason"] for item in before["refused"])),
            "excused": before["verifier"]["kept_in"],
            "kept_by_rule": kept,
        },
        domain=stamp["domain"],
    )


def _why_not(answer: Call) -> str:
    """Why the study is held, in words that name nobody."""
    findings: Mapping[str, int] = answer["findings"]
    if findings:
        return f"{answer['reason']}: {listed(findings)}; nothing of it leaves"
    reasons: Mapping[str, int] = answer["refused"]
    return f"{answer['reason']}: {listed(reasons)}" if reasons else str(answer["reason"])


def listed(counts: Mapping[str, int], most: int = 5) -> str:
    """Counted texts, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    texts = [f"{text} ({count} times)" if count > 1 else text for text, count in ordered[:most]]
    if len(ordered) > most:
        texts.append(f"and {len(ordered) - most} more")
    return "; ".join(texts)


def _told_kept(counts: Mapping[str, int]) -> list[str]:
    """What stays because a rule of the site says so, by attribute."""
    return [f"kept by rule: {listed(counts)}"] if counts else []


def _said(context: StepContext, answer: Call) -> str:
    count = len(answer["outputs"])
    texts = [f"{count} object{'s' * (count != 1)} de-identified and searched"]
    left_out = {**answer["refused"], **answer["dropped"], **answer["skipped"]}
    if left_out:
        texts.append(f"{sum(left_out.values())} left out: {listed(left_out)}")
    texts += _told_kept(answer["kept"])
    files = len(context.artifacts) - len(_dicom(context))
    if files:
        texts.append(f"{files} file{'s' * (files != 1)} of other kinds not de-identified")
    return "; ".join(texts)
