"""Step ``deliver``: orders deliveries; they go their own way after the run.

After ``deidentify`` every file that is to leave is searched first, in a child process, for
everything that identifies the study as it was received. One hit, and nothing leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from isocenter.apps.routing.steps.base import (
    RECEIVED_KIND,
    Call,
    Deidentified,
    InputArtifact,
    Order,
    Request,
    Step,
    StepContext,
    StepParameters,
    StepRefused,
    StepResult,
)
from isocenter.apps.routing.steps.deidentify import REPORT_KIND, listed


class DeliverParameters(StepParameters):
    """What goes where."""

    nodes: tuple[str, ...] = Field(
        (), description="names of nodes, or return-to-sender; empty: the route's destinations"
    )
    what: Literal["derived", "originals", "all"] = Field(
        "derived",
        description="what the run made, what was received, or both; after deidentify what was "
        "de-identified, and what was made of that",
    )
    kinds: tuple[str, ...] = Field(
        (),
        description="kinds of artifacts; empty: all, but the report of deidentify",
    )


@dataclass(frozen=True)
class _Leaving:
    """A file that is to leave."""

    artifact: int
    path: Path
    digest: str
    is_dicom: bool
    excused: tuple[str, ...] = ()  # elements that a site's rule keeps in it, by path


class Deliver(Step):
    """Sends what was made, or received, to nodes: one delivery each."""

    name = "deliver"
    version = "1"
    target = "isocenter.core.deid.guard_job:run"
    parameters = DeliverParameters

    def prepare(
        self, context: StepContext, parameters: DeliverParameters
    ) -> Call | Request | StepResult:
        order = Order(parameters.nodes, parameters.what, parameters.kinds)
        found = context.deidentified
        if found is None:
            return StepResult(order=order)
        if parameters.what == "originals":
            raise StepRefused("after deidentify the received instances do not leave")
        leaving = _leaving(context, parameters)
        if not leaving:
            return StepResult(message="nothing to send")
        request = _request(leaving, context.received)
        if any(item.is_dicom and not item.excused for item in leaving):
            request["kept"] = _kept(context, found)
        return Request(request, found.guard)

    def finish(
        self, context: StepContext, parameters: DeliverParameters, answer: Call
    ) -> StepResult:
        findings: Sequence[Mapping[str, Any]] = answer["findings"]
        leaving = _leaving(context, parameters)
        if findings or answer["searched"] != len(leaving):
            raise StepRefused(_why_not(findings, len(leaving)))
        verified = {item.artifact: item.digest for item in leaving}
        return StepResult(
            message=f"{len(leaving)} files searched for {answer['terms']} identifiers",
            data={"searched": len(leaving), "terms": answer["terms"]},
            order=Order(parameters.nodes, parameters.what, parameters.kinds, verified),
        )


def _leaving(context: StepContext, parameters: DeliverParameters) -> list[_Leaving]:
    """What would be sent, in a stable order."""
    found = context.deidentified
    kept = found.excused if found else {}
    instances = [
        (
            RECEIVED_KIND,
            _Leaving(item.artifact, item.path, item.digest, True, kept.get(item.sop_uid, ())),
        )
        for item in context.instances
        if item.artifact is not None
    ]
    made = [
        (
            item.kind,
            _Leaving(item.id, item.path, item.digest, bool(item.sop_uid), _excused(item, found)),
        )
        for item in context.artifacts
    ]
    wanted = parameters.kinds
    return sorted(
        (
            item
            for kind, item in (*instances, *made)
            if (kind in wanted if wanted else kind != REPORT_KIND)
        ),
        key=lambda item: item.artifact,
    )


def _excused(item: InputArtifact, found: Deidentified | None) -> tuple[str, ...]:
    """What a rule keeps in an artifact; nothing in what a step after ``deidentify`` made."""
    if found is None or item.determinant != found.determinant:
        return ()
    return tuple(found.excused.get(item.sop_uid, ()))


def _kept(context: StepContext, found: Deidentified) -> list[dict[str, Any]]:
    """What ``deidentify`` made with elements that a rule keeps: later steps copy from it."""
    instances = [(item.path, found.excused.get(item.sop_uid, ())) for item in context.instances]
    made = [(item.path, _excused(item, found)) for item in context.artifacts]
    return [
        {"path": str(path), "excused": list(excused)}
        for path, excused in (*instances, *made)
        if excused
    ]


def _request(leaving: Sequence[_Leaving], received: Sequence[Path]) -> dict[str, Any]:
    return {
        "originals": [str(path) for path in received],
        "files": [
            {
                "path": str(item.path),
                "name": _name(item),
                "digest": item.digest,
                "is_dicom": item.is_dicom,
                "excused": list(item.excused),
            }
            for item in leaving
        ],
    }


def _name(item: _Leaving) -> str:
    """What of the path comes from a step's work: below ``…/runs/<run>/<step>/``."""
    parts = item.path.parts
    start = len(parts) - 1 - parts[::-1].index("runs")
    return str(Path(*parts[start + 3 :]))


def _why_not(findings: Sequence[Mapping[str, Any]], count: int) -> str:
    """What was found and where, in words that name nobody."""
    files = len({item["file"] for item in findings})
    places: dict[str, int] = {}
    for item in findings:
        text = f"{item['kind']} at {item['where']}"
        places[text] = places.get(text, 0) + 1
    return (
        f"{files} of {count} files must not leave: {listed(places)}; nothing is sent"
        if findings
        else "not every file was searched; nothing is sent"
    )
