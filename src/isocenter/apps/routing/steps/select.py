"""Step ``select``: which series of the study the steps after it see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from isocenter.apps.routing.steps.base import (
    Call,
    InputInstance,
    OnMissing,
    Step,
    StepContext,
    StepParameters,
    StepResult,
    missing,
)

ModalityName = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_ ]{1,16}$")]


class SelectParameters(StepParameters):
    """Which series stay."""

    modalities: tuple[ModalityName, ...] = Field(
        (), description="series of these modalities stay; empty: all"
    )
    exclude_modalities: tuple[ModalityName, ...] = Field((), description="these go")
    requires: tuple[ModalityName, ...] = Field(
        (), description="modalities of which there must be a series"
    )
    referenced_by: Literal["RTSTRUCT"] | None = Field(
        None,
        description="of the image series, only those that a structure set names; "
        "the structure sets stay too",
    )
    on_missing: OnMissing = Field(
        "quarantine", description="when nothing stays, or a required modality is absent"
    )


class Select(Step):
    """Keeps the series that match; later steps see no others."""

    name = "select"
    version = "1"
    parameters = SelectParameters

    def prepare(self, context: StepContext, parameters: SelectParameters) -> Call | StepResult:
        kept = [item for item in context.instances if _stays(item, parameters)]
        if parameters.referenced_by:
            kept = _referenced(kept, context.instances, parameters.referenced_by)
        modalities = {item.modality for item in kept}
        absent = [name for name in parameters.requires if name not in modalities]
        series = tuple(sorted({item.series_uid for item in kept}))
        if absent:
            problem = missing(parameters.on_missing, f"the study has no {' and no '.join(absent)}")
        elif not series:
            problem = missing(parameters.on_missing, "no series of the study matches")
        else:
            problem = None
        text = f"{len(series)} series, {len(kept)} instances"
        return StepResult(
            series_uids=series,
            message=f"{problem.message}; {text}" if problem else text,
            data={"series": len(series), "instances": len(kept), "absent": absent},
            is_last=problem is not None and problem.is_last,
        )


def _stays(item: InputInstance, parameters: SelectParameters) -> bool:
    if parameters.modalities and item.modality not in parameters.modalities:
        return False
    return item.modality not in parameters.exclude_modalities


def _referenced(
    kept: Sequence[InputInstance], everything: Sequence[InputInstance], modality: str
) -> list[InputInstance]:
    # A structure set that "modalities" leaves out still says which series are meant.
    named = {uid for item in everything if item.modality == modality for uid in item.references}
    return [item for item in kept if item.modality == modality or item.series_uid in named]
