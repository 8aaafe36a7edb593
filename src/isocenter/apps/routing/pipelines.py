"""Checking pipelines and routes: everything that can be known before a study comes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from isocenter.apps.routing.conditions import check as check_condition
from isocenter.apps.routing.documents import (
    NodeDocument,
    PipelineDocument,
    PipelineErrors,
    RouteDocument,
    RoutesFile,
    StepDocument,
    join,
    partly,
    validate,
)
from isocenter.apps.routing.steps.base import StepParameters
from isocenter.apps.routing.steps.registry import registered, step
from isocenter.core.errors import ConditionError, PipelineError

RETURN_TO_SENDER = "return-to-sender"
DEIDENTIFY = "deidentify"
RESERVED = frozenset({"new"})  # names of pages


def check_file(
    data: Mapping[str, Any],
    *,
    known_nodes: Collection[str] = (),
    known_pipelines: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    known_projects: Collection[str] | None = None,
) -> RoutesFile:
    """Check a whole file against itself and what is there already.

    Args:
        known_nodes: names of nodes that exist.
        known_pipelines: steps of pipelines that exist, by name.
        known_projects: names of projects that exist; None leaves them unchecked.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    errors: list[PipelineError] = []
    file: RoutesFile | None = None
    try:
        file = validate(RoutesFile, data, "")
    except PipelineErrors as error:
        errors += error.errors
    errors += _meaning(data, known_nodes, known_pipelines or {}, known_projects)
    if errors or file is None:
        raise PipelineErrors(tuple(errors))
    return file


def _meaning(
    data: Mapping[str, Any],
    known_nodes: Collection[str],
    known_pipelines: Mapping[str, Sequence[Mapping[str, Any]]],
    known_projects: Collection[str] | None,
) -> list[PipelineError]:
    """What is wrong with what can be read; the form of the rest is somebody else's matter."""
    items = {key: _mappings(data, key) for key in ("nodes", "pipelines", "routes")}
    names = {key: [str(item.get("name", "")) for _, item in found] for key, found in items.items()}
    nodes = {*known_nodes, *names["nodes"], RETURN_TO_SENDER}
    pipelines = dict(known_pipelines)
    errors: list[PipelineError] = []
    for key, listed in names.items():
        errors += _twice(key, items[key], listed)
    for index, raw in items["nodes"]:
        node, lost = partly(NodeDocument, raw, {"name": "x", "kind": "folder"})
        if not lost:
            errors += _errors(partial(check_node, node, join("nodes", index)))
    for index, raw in items["pipelines"]:
        steps = [_step(item) for item in _list(raw.get("steps"))]
        path = join("pipelines", index, "steps")
        if raw.get("name") in RESERVED:
            where = join("pipelines", index, "name")
            errors.append(PipelineError("a page has this name", path=where))
        check = partial(check_steps, known_nodes=nodes, known_projects=known_projects)
        errors += _errors(partial(check, steps, path))
        pipelines[str(raw.get("name", ""))] = [step for step in steps if step is not None]
    for index, raw in items["routes"]:
        route, lost = partly(RouteDocument, raw, {"name": "x", "pipeline": "x"})
        errors += check_route(route, join("routes", index), nodes, pipelines, lost)
    return errors


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _mappings(data: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    return [(at, item) for at, item in enumerate(_list(data.get(key))) if isinstance(item, Mapping)]


def _step(raw: Any) -> dict[str, Any] | None:
    try:
        return step_as_json(StepDocument.model_validate(raw))
    except ValidationError:
        return None


def check_steps(
    steps: Sequence[Mapping[str, Any] | None],
    path: str = "steps",
    *,
    known_nodes: Collection[str] | None,
    known_projects: Collection[str] | None = None,
) -> list[StepParameters]:
    """Check the steps of a pipeline; their parameters.

    Args:
        steps: None stands for one that cannot be read, which is not said here.
        known_nodes: nodes that ``deliver`` may name; None leaves that unchecked.
        known_projects: projects that ``deidentify`` may name; None leaves that unchecked.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    errors: list[PipelineError] = []
    built: list[StepParameters] = []
    names: list[str] = []
    for index, item in enumerate(steps):
        here = join(path, index)
        if item is None:
            continue
        try:
            found = step(item["step"], path=join(here, "step"))
        except PipelineError as error:
            errors.append(error)
            continue
        if found.needs and not set(found.needs) & set(names):
            wanted = " or ".join(found.needs)
            errors.append(PipelineError(f"{found.name} needs {wanted} before it", path=here))
        errors += _check_order(found.name, names, item.get("with", {}), here)
        names.append(found.name)
        try:
            parameters = validate(found.parameters, item.get("with", {}), join(here, "with"))
        except PipelineErrors as error:
            errors += error.errors
            continue
        errors += _check_references(parameters, join(here, "with"), known_nodes, known_projects)
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
    if node.kind == "dicomweb":
        if not node.url:
            raise PipelineError("a DICOMweb node needs its address", path=join(path, "url"))
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
    unread: Collection[str] = (),
) -> list[PipelineError]:
    """Everything that is wrong with a route, but for keys that could not be read."""
    errors: list[PipelineError] = []
    if route.name in RESERVED:
        errors.append(PipelineError("a page has this name", path=join(path, "name")))
    try:
        check_condition(route.condition)
    except ConditionError as error:
        errors.append(PipelineError(str(error), path=join(path, "condition")))
    for index, name in enumerate(route.destinations):
        if name not in nodes:
            errors.append(_unknown_node(name, nodes, join(path, "destinations", index)))
    if "pipeline" not in unread:
        is_sent_somewhere = "destinations" in unread or bool(route.destinations)
        errors += _check_use(route, path, pipelines, is_sent_somewhere=is_sent_somewhere)
    return errors


def _check_use(
    route: RouteDocument,
    path: str,
    pipelines: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    is_sent_somewhere: bool,
) -> Iterator[PipelineError]:
    """Whether a route can use its pipeline."""
    steps = pipelines.get(route.pipeline)
    if route.enabled and route.deidentified_only and not deidentifies(steps or ()):
        yield PipelineError(
            "nothing identified may leave by this route, and its pipeline does not "
            "de-identify before everything that it delivers, so it cannot be switched on",
            path=join(path, "deidentified_only"),
            hint="without this key, studies leave with the patient's identity",
        )
    if steps is None:
        listed = ", ".join(sorted(pipelines)) or "none"
        yield PipelineError(
            f"there is no pipeline {route.pipeline!r}",
            path=join(path, "pipeline"),
            hint=f"there are: {listed}",
        )
    elif route.enabled and not is_sent_somewhere and lacks_destination(steps, ()):
        yield PipelineError(
            "the pipeline delivers, but neither it nor the route names a node",
            path=join(path, "destinations"),
            hint="name one, or set enabled: false",
        )


def lacks_destination(steps: Iterable[Mapping[str, Any]], destinations: Sequence[str]) -> bool:
    """Whether a deliver step would not know where to."""
    return not destinations and any(
        item["step"] == "deliver" and not item.get("with", {}).get("nodes") for item in steps
    )


def steps_as_json(pipeline: PipelineDocument) -> list[dict[str, Any]]:
    """Steps as they are stored."""
    return [step_as_json(item) for item in pipeline.steps]


def step_as_json(item: StepDocument) -> dict[str, Any]:
    """A step as it is stored."""
    return {"step": item.step, "with": dict(item.parameters)}


def _check_order(
    name: str, before: Sequence[str], given: Mapping[str, Any], path: str
) -> Iterator[PipelineError]:
    """What a step cannot do after ``deidentify``."""
    if DEIDENTIFY not in before:
        return
    if name == DEIDENTIFY:
        yield PipelineError(
            "a pipeline de-identifies once",
            path=path,
            hint="for another project make another route",
        )
    if name == "deliver" and given.get("what") == "originals":
        yield PipelineError(
            "after deidentify the received instances do not leave",
            path=join(path, "with", "what"),
            hint="what: all means what was de-identified",
        )


def _check_references(
    parameters: StepParameters,
    path: str,
    known_nodes: Collection[str] | None,
    known_projects: Collection[str] | None,
) -> list[PipelineError]:
    errors = []
    project = getattr(parameters, "project", "")
    if project and known_projects is not None and project not in known_projects:
        errors.append(_unknown_project(project, known_projects, join(path, "project")))
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


def _unknown_project(name: str, projects: Collection[str], path: str) -> PipelineError:
    close = difflib.get_close_matches(name, projects, n=1)
    hint = f"there are: {', '.join(sorted(projects))}" if projects else "none is there yet"
    if close:
        hint = f"did you mean {close[0]}?"
    return PipelineError(f"there is no project {name!r}", path=path, hint=hint)


def _unknown_node(name: str, nodes: Collection[str], path: str) -> PipelineError:
    listed = ", ".join(sorted({*nodes, RETURN_TO_SENDER}))
    return PipelineError(f"there is no node {name!r}", path=path, hint=f"there are: {listed}")


def _twice(
    key: str, items: Sequence[tuple[int, Mapping[str, Any]]], names: Sequence[str]
) -> list[PipelineError]:
    return [
        PipelineError(f"the name {name!r} stands twice", path=join(key, items[place][0], "name"))
        for place, name in enumerate(names)
        if name and name in names[:place]
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
    """Whether nothing identified can leave by a pipeline: the patient's identity is taken away
    before it delivers for the first time. A route's own delivery comes at the end."""
    for item in steps:
        if item["step"] == DEIDENTIFY:
            return True
        if item["step"] == "deliver":
            return False
    return False
