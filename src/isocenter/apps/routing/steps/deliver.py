"""Step ``deliver``: orders deliveries; they go their own way after the run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from isocenter.apps.routing.steps.base import (
    Call,
    Order,
    Step,
    StepContext,
    StepParameters,
    StepResult,
)


class DeliverParameters(StepParameters):
    """What goes where."""

    nodes: tuple[str, ...] = Field(
        (), description="names of nodes, or return-to-sender; empty: the route's destinations"
    )
    what: Literal["derived", "originals", "all"] = Field(
        "derived", description="what the run made, what was received, or both"
    )
    kinds: tuple[str, ...] = Field((), description="kinds of artifacts; empty: all")


class Deliver(Step):
    """Sends what was made, or received, to nodes: one delivery each."""

    name = "deliver"
    version = "1"
    parameters = DeliverParameters

    def prepare(self, context: StepContext, parameters: DeliverParameters) -> Call | StepResult:
        return StepResult(order=Order(parameters.nodes, parameters.what, parameters.kinds))
