"""Step ``burn_in``: a disclaimer in the pixels of what an earlier step made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from isocenter.apps.routing.steps.base import (
    Call,
    InputArtifact,
    Step,
    StepContext,
    StepParameters,
    StepResult,
    choices,
)
from isocenter.apps.routing.steps.contours import made_from_json
from isocenter.core.contours.options import POSITIONS
from isocenter.core.contours.options import BurnIn as BurnInOptions

_DEFAULTS = BurnInOptions()


class BurnInParameters(StepParameters):
    """Text and place; the meaning of each is in `isocenter.core.contours.options.BurnIn`."""

    text: str = Field(_DEFAULTS.text, description="one line")
    position: str = Field(
        _DEFAULTS.position, description="corner", json_schema_extra=choices(*POSITIONS)
    )
    size: int = Field(
        _DEFAULTS.size, description="height of the letters in pixels; 0: as the image is large"
    )
    kinds: tuple[str, ...] = Field(("overlay",), description="artifacts that get the text")

    @model_validator(mode="after")
    def _options_can_be_built(self) -> BurnInParameters:
        try:
            _options(self)
        except Exception as error:
            raise ValueError(str(error)) from error
        return self


class BurnIn(Step):
    """Replaces each image series by one with the text; the one without is not sent anywhere."""

    name = "burn_in"
    version = "1"
    target = "isocenter.core.contours.burn_in_job:run"
    parameters = BurnInParameters
    needs = ("contours",)
    makes = ("overlay",)

    def prepare(self, context: StepContext, parameters: BurnInParameters) -> Call | StepResult:
        images = _images(context, parameters)
        if not images:
            return StepResult(message="nothing to burn the text into")
        return {
            "series": [_series(uid, images) for uid in sorted({i.series_uid for i in images})],
            "options": _options(parameters).to_json(),
            "out_dir": str(context.work_dir),
            "made_at": context.made_at.isoformat(),
            "known": sorted(context.known),
            "version": self.version,
        }

    def finish(
        self, context: StepContext, parameters: BurnInParameters, answer: Call
    ) -> StepResult:
        consumed = _images(context, parameters)
        series = len({item.series_uid for item in consumed})
        return StepResult(
            made=made_from_json(answer["outputs"]),
            reused=frozenset(answer.get("reused", ())),
            consumed=frozenset(item.id for item in consumed),
            message=f"text burnt into {series} series, {len(consumed)} images",
        )


def _options(parameters: BurnInParameters) -> BurnInOptions:
    return BurnInOptions(parameters.text, parameters.position, parameters.size)


def _images(context: StepContext, parameters: BurnInParameters) -> list[InputArtifact]:
    return [item for item in context.artifacts if item.kind in parameters.kinds and item.sop_uid]


def _series(uid: str, images: Sequence[InputArtifact]) -> dict[str, Any]:
    members = sorted((item for item in images if item.series_uid == uid), key=lambda i: i.path)
    return {
        "series_uid": uid,
        "kind": members[0].kind,
        "role": members[0].role,
        "instances": [
            {"path": str(item.path), "sop_uid": item.sop_uid, "digest": item.digest}
            for item in members
        ],
    }
