"""Which steps there are."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import entry_points

from isocenter.apps.routing.steps.base import Step
from isocenter.core.errors import ConfigurationError, PipelineError

GROUP = "isocenter.steps"

#: Steps of the specification that this version does not have yet.
PLANNED = ("convert", "segment", "measure", "report", "webhook")


@cache
def registered() -> dict[str, Step]:
    """Every step by name.

    Raises:
        ConfigurationError: two packages bring a step of one name, or one cannot be loaded.
    """
    steps: dict[str, Step] = {}
    for point in entry_points(group=GROUP):
        try:
            step = point.load()()
        except Exception as error:
            raise ConfigurationError(
                f"step {point.name!r} ({point.value}) cannot be loaded: {error}"
            ) from error
        if not isinstance(step, Step) or step.name != point.name:
            raise ConfigurationError(f"{point.value} is no step of the name {point.name!r}")
        if point.name in steps:
            raise ConfigurationError(f"two packages bring a step of the name {point.name!r}")
        steps[point.name] = step
    return steps


def step(name: str, *, path: str = "") -> Step:
    """The step of a name.

    Raises:
        PipelineError: there is none; says the nearest, or that it comes in a later version.
    """
    steps = registered()
    if name in steps:
        return steps[name]
    available = ", ".join(sorted(steps))
    if name in PLANNED:
        raise PipelineError(
            f"the step {name!r} is not available in this version",
            path=path,
            hint=f"remove it; available are {available}",
        )
    close = difflib.get_close_matches(name, steps, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"available are {available}"
    raise PipelineError(f"there is no step {name!r}", path=path, hint=hint)
