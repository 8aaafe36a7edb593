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
    choices,
    missing,
)
from isocenter.core.contours.options import (
    FORMATS,
    NESTINGS,
    ContourOptions,
    PreviewOptions,
    RoiChoice,
)

_DEFAULTS = ContourOptions()


_CHOICE, _PREVIEW = RoiChoice(), PreviewOptions()


class ChoiceParameters(StepParameters):
    """Which ROIs; the meaning of each is in `RoiChoice`."""

    ignore: tuple[str, ...] = Field(
        _CHOICE.ignore, description="left out where the name contains one of these, in any case"
    )
    include: tuple[str, ...] = Field(
        (), description="regular expressions, one of which the name must match; empty: all"
    )
    exclude: tuple[str, ...] = Field(
        (), description="regular expressions; what matches one is left out"
    )
    types: tuple[str, ...] = Field(
        (), description="RTROIInterpretedType must be one of these, such as PTV; empty: any"
    )


class PreviewPictureParameters(StepParameters):
    """How previews look; the meaning of each is in `PreviewOptions`."""

    series_number: int = Field(
        _PREVIEW.series_number, description="of the Secondary Capture series"
    )
    series_description: str = Field(
        _PREVIEW.series_description, description="of the Secondary Capture series"
    )
    image_format: str = Field(
        _PREVIEW.image_format,
        description="of the pictures, one per slice",
        json_schema_extra=choices("png", "jpeg"),
    )
    secondary_capture: bool = Field(
        _PREVIEW.secondary_capture, description="make a series of them for the PACS"
    )
    slices: str = Field(
        _PREVIEW.slices,
        description="those with contours, or all",
        json_schema_extra=choices("contours", "all"),
    )
    window_center: float | None = Field(None, description="empty: from the image")
    window_width: float | None = Field(None, description="empty: from the image")


class DrawingParameters(StepParameters):
    """What decides which voxels belong to an ROI."""

    choice: ChoiceParameters = Field(ChoiceParameters(), description="which ROIs are drawn")
    nesting: str = Field(
        _DEFAULTS.nesting,
        description="how contours of one ROI in one plane combine",
        json_schema_extra=choices(*NESTINGS),
    )
    interpolate: bool = Field(
        _DEFAULTS.interpolate, description="fill slices between contour planes"
    )
    allow_other_frame_of_reference: bool = Field(
        _DEFAULTS.allow_other_frame_of_reference,
        description="draw although the frames of reference differ",
    )


class ContoursParameters(DrawingParameters):
    """Drawing, output and what to do when there is nothing to draw."""

    formats: tuple[str, ...] = Field(
        ("overlay",), description="what is made", json_schema_extra=choices(*FORMATS)
    )
    overlay_mode: str = Field(
        _DEFAULTS.overlay_mode,
        description="all ROIs in one overlay plane, or one plane each",
        json_schema_extra=choices("merged", "per-roi"),
    )
    overlay_type: str = Field(
        _DEFAULTS.overlay_type,
        description="R: region of interest, G: graphics (PS3.3 C.9.2)",
        json_schema_extra=choices("R", "G"),
    )
    series_number: int = Field(_DEFAULTS.series_number, description="of the overlay series")
    series_description: str = Field(
        _DEFAULTS.series_description,
        description="of the overlay series; {modality} stands for the source's",
    )
    study_id: str | None = Field(
        _DEFAULTS.study_id, description="of the overlay series; empty: as in the source"
    )
    segmentation_series_number: int = Field(
        _DEFAULTS.segmentation_series_number, description="of the SEG series"
    )
    segmentation_series_description: str = Field(
        _DEFAULTS.segmentation_series_description, description="of the SEG series"
    )
    preview: PreviewPictureParameters = Field(
        PreviewPictureParameters(), description="how pictures look, where they are made"
    )
    nifti_compression: int = Field(
        _DEFAULTS.nifti_compression, description="1 (fast) to 3 (small), 0 for plain .nii"
    )
    disclaimer: str = Field(_DEFAULTS.disclaimer, description="shown in pictures and reports")
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
