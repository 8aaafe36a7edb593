"""The YAML form of nodes, pipelines and routes, and what is wrong with one.

::

    pipelines:
      - name: rt-overlay
        steps:
          - step: contours
            with: {formats: [overlay]}
          - step: deliver
    routes:
      - name: rt-overlay
        condition: '"RTSTRUCT" in ModalitiesInStudy'
        pipeline: rt-overlay
        destinations: [pacs]
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from isocenter.core.errors import ConfigurationError, PipelineError
from isocenter.runtime.settings import CompletionRule

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
NAME_RULE = "a name has letters, digits, - and _, at most 64, the first a letter or digit"
_AE_TITLE = r"^[ -\[\]-~]*$"
_PATTERNS = {
    NAME_PATTERN: NAME_RULE,
    _AE_TITLE: "an AE title has ASCII characters without the backslash",
}
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
AeTitle = Annotated[str, StringConstraints(max_length=16, pattern=_AE_TITLE)]
MAX_BYTES = 1 << 20
Model = TypeVar("Model", bound=BaseModel)


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TlsDocument(Document):
    """TLS towards a node (PS3.15 B.12); files in PEM."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True


class NodeDocument(Document):
    """A node."""

    name: Name
    kind: Literal["dimse", "folder", "dicomweb"]
    ae_title: AeTitle = ""
    host: str = Field("", max_length=255)
    port: int | None = Field(None, ge=1, le=65535)
    calling_ae_title: AeTitle = ""
    folder: str = Field("", max_length=1024)
    tls: TlsDocument | None = None
    max_associations: int = Field(2, ge=1, le=64)
    rate_mb_s: float | None = Field(None, ge=0.1, le=100_000)
    timeout_s: float | None = Field(None, gt=0)
    can_query: bool = False
    allows: tuple[Literal["store", "query", "retrieve", "commit"], ...] | None = None
    demands: Literal["", "tls", "certificate"] = ""
    wants_commitment: bool = False
    url: str = Field("", max_length=2048)
    username: str = Field("", max_length=255)
    secret: str | None = Field(None, max_length=4096)
    enabled: bool = True


class StepDocument(Document):
    """A step of a pipeline."""

    step: str
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")


class PipelineDocument(Document):
    """A pipeline."""

    name: Name
    description: str = ""
    steps: tuple[StepDocument, ...] = Field(min_length=1)


class RouteDocument(Document):
    """A route."""

    name: Name
    description: str = ""
    enabled: bool = True
    disabled_reason: str = ""
    priority: int = Field(0, ge=-1000, le=1000)
    condition: str = ""
    pipeline: Name
    destinations: tuple[Name, ...] = ()
    deidentified_only: bool = False
    completion: CompletionRule = CompletionRule()


class RoutesFile(Document):
    """A whole file."""

    nodes: tuple[NodeDocument, ...] = ()
    pipelines: tuple[PipelineDocument, ...] = ()
    routes: tuple[RouteDocument, ...] = ()


def read_yaml(text: str, *, where: str = "the file") -> dict[str, Any]:
    """Read YAML as a mapping.

    Raises:
        ConfigurationError: no YAML, too large, twice the same key, or no mapping.
    """
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"{where} has {len(text)} characters; {MAX_BYTES} are allowed")
    try:
        content = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 -- a SafeLoader, see below
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationError(f"{where} is no YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where} holds no keys at its top")
    return content


def write_yaml(content: Mapping[str, Any]) -> str:
    """YAML as people like to read it: keys in our order, no aliases."""
    return yaml.dump(
        dict(content), Dumper=_Plain, sort_keys=False, allow_unicode=True, default_flow_style=False
    )


def validate(model: type[Model], data: Any, path: str) -> Model:
    """Build a model.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise PipelineErrors(tuple(_problems(model, error, path))) from None


class PipelineErrors(PipelineError):
    """Several errors of one definition.

    Attributes:
        errors: each with its path.
    """

    def __init__(self, errors: tuple[PipelineError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
        self.path = errors[0].path


def join(path: str, *parts: str | int) -> str:
    """``routes``, 0, ``completion`` → ``routes[0].completion``."""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def inside(error: PipelineError, prefix: str) -> PipelineError:
    """An error with its path as seen from inside ``prefix``."""
    text = str(error.args[0]).removeprefix(f"{error.path}: ")
    path = error.path
    if path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")):
        path = path[len(prefix) :].lstrip(".")
    return PipelineError(text, path=path, hint=error.hint)


def partly(model: type[Model], data: Any, missing: Mapping[str, Any]) -> tuple[Model, set[str]]:
    """A model of those keys that can be read, and the names of the others.

    Args:
        missing: values that stand in for needed keys.
    """
    given = dict(data)
    lost: set[str] = set()
    for _ in range(2):
        try:
            return model.model_validate(given), lost
        except ValidationError as error:
            bad = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        lost |= bad
        given = {key: value for key, value in given.items() if key not in bad}
        given |= {key: value for key, value in missing.items() if key in bad}
    return model.model_validate(dict(missing)), set(model.model_fields)


def _problems(model: type[BaseModel], error: ValidationError, path: str) -> Iterator[PipelineError]:
    for item in error.errors(include_url=False):
        place = [part for part in item["loc"] if not _is_tag(part)]
        where = join(path, *place)
        if item["type"] == "extra_forbidden":
            yield _unknown_key(str(place[-1]), keys_at(model, place[:-1]), where)
        elif item["type"] == "missing":
            yield PipelineError("this key is needed", path=where)
        elif item["type"] == "string_pattern_mismatch":
            yield PipelineError(_PATTERNS[item["ctx"]["pattern"]], path=where)
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield PipelineError(message[:1].lower() + message[1:], path=where)


def _is_tag(part: int | str) -> bool:
    # Members of unions that pydantic puts into a location, for example "tuple[str,...]".
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _unknown_key(key: str, valid: list[str], where: str) -> PipelineError:
    close = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"valid keys: {', '.join(valid)}"
    return PipelineError(f"unknown key {key!r}", path=where, hint=hint)


def keys_at(model: type[BaseModel], place: list[int | str]) -> list[str]:
    """Valid keys at a place inside a model."""
    for part in place:
        if isinstance(part, int):
            continue
        info = model.model_fields.get(part) or next(
            (field for field in model.model_fields.values() if field.alias == part), None
        )
        inner = None if info is None else _model_in(info.annotation)
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, dict, typing.Union, types.UnionType):
        for inner in typing.get_args(annotation):
            if found := _model_in(inner):
                return found
    return None


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key that stands twice: the first one would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(getattr(key_node, "value", ""))
            if isinstance(key_node, yaml.ScalarNode) and key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"the key {key!r} stands twice, again in line {line}")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


_Plain.add_representer(tuple, yaml.SafeDumper.represent_list)
_Plain.add_multi_representer(PurePosixPath, lambda dumper, value: dumper.represent_str(str(value)))
