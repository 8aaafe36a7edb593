"""Step ``preview``: pictures of the contours on the slices, and a series of them for the PACS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from isocenter.apps.routing.steps.base import (
    Call,
    OnMissing,
    Step,
    StepContext,
    StepParameters,
    StepResult,
)
from isocenter.apps.routing.steps.contours import (
    DrawingParameters,
    PreviewPictureParameters,
    contour_options,
    contour_request,
    contour_result,
)
from isocenter.core.contours.options import DISCLAIMER


class PreviewParameters(PreviewPictureParameters):
    """How previews look, and what is drawn."""

    drawing: DrawingParameters | None = Field(
        None, description="empty: as in the contours step before, else the defaults"
    )
    disclaimer: str = Field(DISCLAIMER, description="shown in the pictures")
    on_missing_rtstruct: OnMissing = Field(
        "skip", description="the study has no structure set that can be drawn"
    )

    @model_validator(mode="after")
    def _options_can_be_built(self) -> PreviewParameters:
        _options(self, self.drawing or DrawingParameters())
        return self


class Preview(Step):
    """One picture per slice, a montage, and a Secondary Capture series."""

    name = "preview"
    version = "1"
    target = "isocenter.core.contours.job:run"
    parameters = PreviewParameters
    makes = ("preview", "preview-sc")

    def prepare(self, context: StepContext, parameters: PreviewParameters) -> Call | StepResult:
        drawing = parameters.drawing or _drawing_before(context)
        return contour_request(
            context, _options(parameters, drawing), parameters.on_missing_rtstruct, self.version
        )

    def finish(
        self, context: StepContext, parameters: PreviewParameters, answer: Call
    ) -> StepResult:
        return contour_result(answer, parameters.on_missing_rtstruct, "skip")


def _options(parameters: PreviewParameters, drawing: DrawingParameters) -> dict[str, Any]:
    pictures = parameters.model_dump(
        mode="json", include=set(PreviewPictureParameters.model_fields)
    )
    return contour_options(
        drawing, formats=["preview"], preview=pictures, disclaimer=parameters.disclaimer
    )


def _drawing_before(context: StepContext) -> DrawingParameters:
    for name, given in reversed(context.earlier):
        if name == "contours":
            return DrawingParameters.model_validate(_only(DrawingParameters, given))
    return DrawingParameters()


def _only(model: type[StepParameters], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in model.model_fields}
