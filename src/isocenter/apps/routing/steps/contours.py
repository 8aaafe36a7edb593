"""Step ``contours``: RT structure sets → overlays, masks, segmentations (spec 01, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from isocenter.apps.routing.steps.base import (
    Call,
    InputInstance,
    Made,
    OnMissing,
    Step,
    StepContext,
    StepParameters,
    StepRefused,
    StepResult,
    missing,
)
from isocenter.core.contours.options import ContourOptions, PreviewOptions, RoiChoice

_DEFAULTS = ContourOptions()


class ChoiceParameters(StepParameters):
    """Which ROIs; the meaning of each is in `RoiChoice`."""

    ignore: tuple[str, ...] = RoiChoice().ignore
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class PreviewPictureParameters(StepParameters):
    """How previews look; the meaning of each is in `PreviewOptions`."""

    series_number: int = PreviewOptions().series_number
    series_description: str = PreviewOptions().series_description
    image_format: str = PreviewOptions().image_format
    secondary_capture: bool = PreviewOptions().secondary_capture
    slices: str = PreviewOptions().slices
    window_center: float | None = None
    window_width: float | None = None


class DrawingParameters(StepParameters):
    """What decides which voxels belong to an ROI."""

    choice: ChoiceParameters = ChoiceParameters()
    nesting: str = _DEFAULTS.nesting
    interpolate: bool = _DEFAULTS.interpolate
    allow_other_frame_of_reference: bool = _DEFAULTS.allow_other_frame_of_reference


class ContoursParameters(DrawingParameters):
    """Drawing, output and what to do when there is nothing to draw."""

    formats: tuple[str, ...] = ("overlay",)
    overlay_mode: str = _DEFAULTS.overlay_mode
    overlay_type: str = _DEFAULTS.overlay_type
    series_number: int = _DEFAULTS.series_number
    series_description: str = _DEFAULTS.series_description
    study_id: str | None = _DEFAULTS.study_id
    segmentation_series_number: int = _DEFAULTS.segmentation_series_number
    segmentation_series_description: str = _DEFAULTS.segmentation_series_description
    preview: PreviewPictureParameters = PreviewPictureParameters()
    nifti_compression: int = _DEFAULTS.nifti_compression
    disclaimer: str = _DEFAULTS.disclaimer
    on_missing_rtstruct: OnMissing = Field(
        "quarantine", description="the study has no structure set that can be drawn"
    )
    on_no_roi: Literal["quarantine", "skip"] = Field(
        "quarantine", description="no ROI is left after the choice"
    )

    @model_validator(mode="after")
    def _options_can_be_built(self) -> ContoursParameters:
        contour_options(self)
        return self


def contour_options(parameters: StepParameters, **more: Any) -> dict[str, Any]:
    """Options of the lower floor, as JSON values, from parameters of a step.

    Raises:
        ValueError: a value that the lower floor does not take.
    """
    values = parameters.model_dump(mode="json", exclude={"on_missing_rtstruct", "on_no_roi"})
    try:
        return ContourOptions.from_json(values | more).to_json()
    except Exception as error:  # pydantic wants ValueError; the text is the lower floor's
        raise ValueError(str(error)) from error


class Contours(Step):
    """Draws every structure set of the study on the series that it belongs to."""

    name = "contours"
    version = "1"
    target = "isocenter.core.contours.job:run"
    parameters = ContoursParameters
    makes = ("overlay", "seg", "nifti", "nrrd", "stl", "json", "preview", "preview-sc")

    def prepare(self, context: StepContext, parameters: ContoursParameters) -> Call | StepResult:
        return contour_request(
            context, contour_options(parameters), parameters.on_missing_rtstruct, self.version
        )

    def finish(
        self, context: StepContext, parameters: ContoursParameters, answer: Call
    ) -> StepResult:
        return contour_result(answer, parameters.on_missing_rtstruct, parameters.on_no_roi)


def contour_request(
    context: StepContext, options: Mapping[str, Any], on_missing: OnMissing, version: str
) -> Call | StepResult:
    """What the lower floor is asked, or the answer where there is no structure set."""
    if not any(item.modality == "RTSTRUCT" for item in context.instances):
        return missing(on_missing, "the study has no RTSTRUCT")
    return {
        "instances": instances_as_json(context.instances),
        "options": dict(options),
        "out_dir": str(context.work_dir),
        "made_at": context.made_at.isoformat(),
        "known": sorted(context.known),
        "version": version,
    }


def instances_as_json(instances: Sequence[InputInstance]) -> list[dict[str, str]]:
    """Inputs as the lower floor's jobs take them."""
    return [
        {
            "path": str(item.path),
            "sop_uid": item.sop_uid,
            "series_uid": item.series_uid,
            "sop_class_uid": item.sop_class_uid,
            "modality": item.modality,
            "digest": item.digest,
        }
        for item in instances
    ]


def made_from_json(outputs: Sequence[Mapping[str, Any]]) -> tuple[Made, ...]:
    """Outputs as the lower floor's jobs name them."""
    return tuple(
        Made(
            kind=item["kind"],
            role=item.get("role", ""),
            path=Path(item["path"]),
            determinant=item["determinant"],
            sop_uid=item.get("sop_uid", ""),
            series_uid=item.get("series_uid", ""),
            sop_class_uid=item.get("sop_class_uid", ""),
        )
        for item in outputs
    )


def contour_result(
    answer: Call, on_missing: OnMissing, on_no_roi: Literal["quarantine", "skip"]
) -> StepResult:
    """What came of drawing; nothing drawn is handled as the parameters say."""
    summary: dict[str, Any] = dict(answer["summary"])
    pairs: list[dict[str, Any]] = summary.get("pairs", [])
    problems = [str(problem) for problem in summary.get("problems", [])]
    made = made_from_json(answer["outputs"])
    reused = frozenset(answer.get("reused", ()))
    drawn = sum(len(pair["rois"]) for pair in pairs)
    if not pairs:
        return missing(on_missing, _because("no structure set belongs to a series", problems))
    if not drawn:
        reason = _because("no ROI is left to draw", problems)
        if on_no_roi == "quarantine":
            raise StepRefused(reason)
        return StepResult(message=reason, is_last=True, data=summary)
    text = f"{drawn} ROI{'s' if drawn > 1 else ''} on {len(pairs)} series"
    if reused:
        text += f"; {len(reused)} of {len(reused) + len({item.determinant for item in made})} kept"
    return StepResult(made=made, reused=reused, message=text, data=summary)


def _because(text: str, problems: Sequence[str]) -> str:
    return f"{text}: {'; '.join(problems)}" if problems else text
