"""A pipeline while somebody writes it: as steps with fields, or as YAML; two views of one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import QueryDict

from isocenter.apps.routing import definitions
from isocenter.apps.routing.documents import PipelineErrors, inside, read_yaml, write_yaml
from isocenter.apps.routing.models import Pipeline
from isocenter.apps.routing.pipelines import RETURN_TO_SENDER
from isocenter.apps.routing.step_forms import StepField, fields_of, values_from
from isocenter.apps.routing.steps.base import Step
from isocenter.apps.routing.steps.registry import registered
from isocenter.apps.routing.yaml_places import broken_line, line_of
from isocenter.apps.transfers import queries as transfers
from isocenter.core.errors import ConfigurationError, PipelineError

MAX_STEPS = 50
VIEWS = ("steps", "yaml")


@dataclass
class StepDraft:
    """One step of the editor."""

    number: int  # 1, 2, …
    name: str
    title: str
    is_known: bool
    fields: list[StepField] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Draft:
    """What is in the editor.

    Attributes:
        view: ``steps`` or ``yaml``.
        yaml: the text, where that is the view.
        problems: what stands at no field: ``{"line", "path", "text"}``.
    """

    name: str = ""
    description: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    view: str = "steps"
    yaml: str = ""
    version: str = ""
    is_new: bool = True
    problems: list[dict[str, Any]] = field(default_factory=list)
    errors: list[PipelineError] = field(default_factory=list)
    focus: str = ""  # id of the control that has it after a change

    @property
    def expected(self) -> datetime | None:
        """When what the person looked at was last changed."""
        try:
            return datetime.fromisoformat(self.version)
        except ValueError:
            return None

    @property
    def name_errors(self) -> list[str]:
        return [_text(error) for error in self.errors if error.path == "name"]

    def document(self) -> dict[str, Any]:
        """The pipeline as it is stored in YAML."""
        steps = [
            {"step": item["step"], **({"with": item["with"]} if item.get("with") else {})}
            for item in self.steps
        ]
        return {"name": self.name, "description": self.description, "steps": steps}

    def drafts(self) -> list[StepDraft]:
        """The steps with their fields, and what is wrong at each."""
        names = {"nodes": [RETURN_TO_SENDER, *(node.name for node in transfers.nodes())]}
        made: set[str] = {kind for step in registered().values() for kind in step.makes}
        names["kinds"] = sorted(made)
        names["project"] = definitions.known_projects()
        return [_step(number, item, names, self.errors) for number, item in _numbered(self.steps)]


def of(pipeline: Pipeline) -> Draft:
    """The editor of a stored pipeline."""
    document = definitions.pipeline_document(pipeline)
    return Draft(
        name=pipeline.name,
        description=pipeline.description,
        steps=[dict(item) for item in document["steps"]],
        version=pipeline.changed_at.isoformat(),
        is_new=False,
    )


def from_post(posted: QueryDict) -> Draft:
    """What was in the editor when a button was pressed."""
    draft = Draft(
        name=posted.get("name", "").strip()[:255],
        description=posted.get("description", "")[:1000],
        view=posted.get("view", "steps"),
        yaml=posted.get("yaml", ""),
        version=posted.get("version", "")[:64],
        is_new=posted.get("is_new") == "1",
    )
    if draft.view == "yaml":
        _take_yaml(draft)
    else:
        draft.view = "steps"
        draft.steps = _posted_steps(posted)
    return draft


def act(draft: Draft, what: str) -> None:
    """Do what a button of the editor says: ``add:NAME``, ``up:2``, ``down:2``, ``remove:2``,
    ``view:yaml``. What makes no sense does nothing."""
    verb, _, rest = what.partition(":")
    if verb == "view" and rest in VIEWS:
        _turn(draft, rest)
    elif verb == "add" and rest in registered() and len(draft.steps) < MAX_STEPS:
        draft.steps.append({"step": rest, "with": {}})
        draft.focus = f"step-{len(draft.steps)}"
    elif rest.isascii() and rest.isdigit() and 1 <= int(rest) <= len(draft.steps):
        at = int(rest) - 1
        if verb == "remove":
            del draft.steps[at]
            draft.focus = f"step-{min(at + 1, len(draft.steps))}" if draft.steps else "add-step"
        elif verb in ("up", "down"):
            to = min(max(at + (1 if verb == "down" else -1), 0), len(draft.steps) - 1)
            draft.steps.insert(to, draft.steps.pop(at))
            draft.focus = f"{verb}-{to + 1}"


def check(draft: Draft) -> bool:
    """Whether it could be kept; finds everything that is wrong."""
    if draft.problems:
        return False
    document = draft.document()
    try:
        definitions.check_definitions({"pipelines": [document]})
    except PipelineErrors as errors:
        blame(draft, [inside(error, "pipelines[0]") for error in errors.errors])
        return False
    return True


def blame(draft: Draft, errors: Sequence[PipelineError]) -> None:
    """Put errors at their fields, or at their lines."""
    draft.errors = list(errors)
    for error in errors:
        if draft.view == "yaml":
            line = line_of(draft.yaml, error.path) if error.path else None
            draft.problems.append({"line": line, "path": error.path, "text": _text(error)})
        elif error.path != "name" and not error.path.startswith("steps["):
            draft.problems.append({"line": None, "path": error.path, "text": _text(error)})


def available() -> list[dict[str, str]]:
    """Steps that can be added."""
    return [{"name": name, "title": title_of(step)} for name, step in sorted(registered().items())]


def title_of(step: Step) -> str:
    """What a step does: the first sentence of its class."""
    text = (type(step).__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(text.split())


def _turn(draft: Draft, view: str) -> None:
    """The other view of the same; YAML that cannot be read stays YAML."""
    if view == "yaml" and draft.view == "steps":
        document = draft.document()
        document.pop("name")
        draft.yaml, draft.view = write_yaml(document), "yaml"
    elif view == "steps" and draft.view == "yaml" and not draft.problems:
        draft.view = "steps"


def _take_yaml(draft: Draft) -> None:
    try:
        content = read_yaml(draft.yaml, where="it")
    except ConfigurationError as error:
        text = str(error.__cause__ or error)
        draft.problems.append({"line": broken_line(error), "path": "", "text": text})
        return
    draft.description = str(content.get("description") or "")
    unknown = sorted(set(map(str, content)) - {"name", "description", "steps"})
    for key in unknown:
        draft.problems.append(
            {"line": line_of(draft.yaml, key), "path": key, "text": f"unknown key {key!r}"}
        )
    steps = content.get("steps")
    if not isinstance(steps, list):
        draft.problems.append(
            {"line": line_of(draft.yaml, "steps"), "path": "steps", "text": "a list is needed here"}
        )
        return
    for index, item in enumerate(steps):
        problem = _shape(item)
        if problem:
            path = f"steps[{index}]"
            draft.problems.append(
                {"line": line_of(draft.yaml, path), "path": path, "text": problem}
            )
        else:
            draft.steps.append({"step": item["step"], "with": dict(item.get("with") or {})})


def _shape(item: Any) -> str:
    if not isinstance(item, Mapping) or not isinstance(item.get("step"), str):
        return "a step is written as: step: NAME"
    unknown = sorted(set(map(str, item)) - {"step", "with"})
    if unknown:
        return f"unknown key {unknown[0]!r}; a step has step and with"
    if not isinstance(item.get("with") or {}, Mapping):
        return "with holds the parameters, each with its name"
    return ""


def _posted_steps(posted: QueryDict) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for number, name in enumerate(posted.getlist("step")[:MAX_STEPS], start=1):
        known = registered().get(name)
        if known is None:
            steps.append({"step": name, "with": {}})
            continue
        steps.append({"step": name, "with": values_from(known.parameters, posted, f"s{number}")})
    return steps


def _numbered(steps: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(steps, start=1))


def _step(
    number: int,
    item: Mapping[str, Any],
    names: Mapping[str, Sequence[str]],
    errors: Sequence[PipelineError],
) -> StepDraft:
    known = registered().get(item["step"])
    path = f"steps[{number - 1}]"
    draft = StepDraft(number, item["step"], title_of(known) if known else "", known is not None)
    if known is not None:
        given = item.get("with") or {}
        draft.fields = fields_of(known.parameters, given, f"s{number}", f"{path}.with", names)
    for error in errors:
        if error.path == path or error.path.startswith((f"{path}.", f"{path}[")):
            found = _place(draft.fields, error.path)
            (found.errors if found else draft.errors).append(_text(error))
    return draft


def _place(fields: Sequence[StepField], path: str) -> StepField | None:
    """The innermost field that a path leads to."""
    for item in fields:
        if path == item.path or path.startswith((f"{item.path}.", f"{item.path}[")):
            return _place(item.fields, path) or item
    return None


def _text(error: PipelineError) -> str:
    text = str(error.args[0]).removeprefix(f"{error.path}: ") if error.path else str(error.args[0])
    hint = f" ({error.hint})" if error.hint else ""
    return f"{text[:1].upper()}{text[1:]}{hint}"
