"""Checking pipelines and routes: everything that can be known before a study comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from isocenter.apps.routing.conditions import check as check_condition
from isocenter.apps.routing.documents import (
    NodeDocument,
    PipelineDocument,
    PipelineErrors,
    RouteDocument,
    RoutesFile,
    join,
    validate,
)
from isocenter.apps.routing.steps.base import StepParameters
from isocenter.apps.routing.steps.registry import registered, step
from isocenter.core.errors import ConditionError, PipelineError

RETURN_TO_SENDER = "return-to-sender"
DEIDENTIFY = "deidentify"


def check_file(
    data: Mapping[str, Any],
    *,
    known_nodes: Collection[str] = (),
    known_pipelines: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> RoutesFile:
    """Check a whole file against itself and what is there already.

    Args:
        known_nodes: names of nodes that exist.
        known_pipelines: steps of pipelines that exist, by name.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    file = validate(RoutesFile, data, "")
    nodes = {*known_nodes, *(item.name for item in file.nodes), RETURN_TO_SENDER}
    pipelines = dict(known_pipelines or {})
    pipelines.update({item.name: steps_as_json(item) for item in file.pipelines})
    errors: list[PipelineError] = []
    errors += _twice("nodes", [item.name for item in file.nodes])
    errors += _twice("pipelines", [item.name for item in file.pipelines])
    errors += _twice("routes", [item.name for item in file.routes])
    for index, node in enumerate(file.nodes):
        errors += _errors(partial(check_node, node, join("nodes", index)))
    for index, pipeline in enumerate(file.pipelines):
        path = join("pipelines", index, "steps")
        check = partial(check_steps, steps_as_json(pipeline), path, known_nodes=nodes)
        errors += _errors(check)
    for index, route in enumerate(file.routes):
        errors += check_route(route, join("routes", index), nodes, pipelines)
    if errors:
        raise PipelineErrors(tuple(errors))
    return file


def check_steps(
    steps: Sequence[Mapping[str, Any]], path: str = "steps", *, known_nodes: Collection[str] | None
) -> list[StepParameters]:
    """Check the steps of a pipeline; their parameters.

    Args:
        known_nodes: nodes that ``deliver`` may name; None leaves that unchecked.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    errors: list[PipelineError] = []
    built: list[StepParameters] = []
    names: list[str] = []
    for index, item in enumerate(steps):
        here = join(path, index)
        try:
            found = step(item["step"], path=join(here, "step"))
        except PipelineError as error:
            errors.append(error)
            continue
        if found.needs and not set(found.needs) & set(names):
            wanted = " or ".join(found.needs)
            errors.append(PipelineError(f"{found.name} needs {wanted} before it", path=here))
        names.append(found.name)
        try:
            parameters = validate(found.parameters, item.get("with", {}), join(here, "with"))
        except PipelineErrors as error:
            errors += error.errors
            continue
        errors += _check_references(parameters, join(here, "with"), known_nodes)
        built.append(parameters)
    if errors:
        raise PipelineErrors(tuple(errors))
    return built


def check_node(node: NodeDocument, path: str) -> None:
    """Check that a node has what its kind needs.

    Raises:
        PipelineErrors: it has not.
    """
    if node.name == RETURN_TO_SENDER:
        raise PipelineError("this name means the sender of a study", path=join(path, "name"))
    if node.kind == "folder":
        if not node.folder.startswith(("/", "~")):
            raise PipelineError("a folder node needs an absolute path", path=join(path, "folder"))
        return
    missing = [
        PipelineError("a DICOM node needs this", path=join(path, key))
        for key in ("ae_title", "host", "port")
        if not str(getattr(node, key) or "").strip()
    ]
    if missing:
        raise PipelineErrors(tuple(missing))


def check_route(
    route: RouteDocument,
    path: str,
    nodes: Collection[str],
    pipelines: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[PipelineError]:
    """Everything that is wrong with a route."""
    errors: list[PipelineError] = []
    try:
        check_condition(route.condition)
    except ConditionError as error:
        errors.append(PipelineError(str(error), path=join(path, "condition")))
    for index, name in enumerate(route.destinations):
        if name not in nodes:
            errors.append(_unknown_node(name, nodes, join(path, "destinations", index)))
    steps = pipelines.get(route.pipeline)
    if route.enabled and route.deidentified_only and not deidentifies(steps or ()):
        errors.append(
            PipelineError(
                "nothing identified may leave by this route, and its pipeline does not "
                "de-identify, so it cannot be switched on",
                path=join(path, "deidentified_only"),
                hint="without this key, studies leave with the patient's identity",
            )
        )
    if steps is None:
        listed = ", ".join(sorted(pipelines)) or "none"
        errors.append(
            PipelineError(
                f"there is no pipeline {route.pipeline!r}",
                path=join(path, "pipeline"),
                hint=f"there are: {listed}",
            )
        )
    elif route.enabled and lacks_destination(steps, route.destinations):
        errors.append(
            PipelineError(
                "the pipeline delivers, but neither it nor the route names a node",
                path=join(path, "destinations"),
                hint="name one, or set enabled: false",
            )
        )
    return errors


def lacks_destination(steps: Iterable[Mapping[str, Any]], destinations: Sequence[str]) -> bool:
    """Whether a deliver step would not know where to."""
    return not destinations and any(
        item["step"] == "deliver" and not item.get("with", {}).get("nodes") for item in steps
    )


def steps_as_json(pipeline: PipelineDocument) -> list[dict[str, Any]]:
    """Steps as they are stored."""
    return [{"step": item.step, "with": dict(item.parameters)} for item in pipeline.steps]


def _check_references(
    parameters: StepParameters, path: str, known_nodes: Collection[str] | None
) -> list[PipelineError]:
    errors = []
    for index, name in enumerate(getattr(parameters, "nodes", ())):
        if known_nodes is not None and name not in {*known_nodes, RETURN_TO_SENDER}:
            errors.append(_unknown_node(name, known_nodes, join(path, "nodes", index)))
    made = {kind for item in registered().values() for kind in item.makes}
    for index, kind in enumerate(getattr(parameters, "kinds", ())):
        if kind not in made:
            errors.append(
                PipelineError(
                    f"no step makes {kind!r}",
                    path=join(path, "kinds", index),
                    hint=f"kinds: {', '.join(sorted(made))}",
                )
            )
    return errors


def _unknown_node(name: str, nodes: Collection[str], path: str) -> PipelineError:
    listed = ", ".join(sorted({*nodes, RETURN_TO_SENDER}))
    return PipelineError(f"there is no node {name!r}", path=path, hint=f"there are: {listed}")


def _twice(key: str, names: Sequence[str]) -> list[PipelineError]:
    return [
        PipelineError(f"the name {name!r} stands twice", path=join(key, index, "name"))
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _errors(check: Callable[[], object]) -> list[PipelineError]:
    try:
        check()
    except PipelineErrors as error:
        return list(error.errors)
    except PipelineError as error:
        return [error]
    return []


def deidentifies(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pipeline has the step that takes the patient's identity away."""
    return any(step["step"] == DEIDENTIFY for step in steps)
