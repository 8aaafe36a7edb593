"""The parameters of a step as fields of a form, made from the step's own model.

A step of another package gets its form without a line here: kinds of fields come from types, help
from ``description``, choices from ``Literal`` or from ``json_schema_extra={"choices": [...]}``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from isocenter.apps.routing.documents import join

FieldKind = Literal["text", "number", "yes-no", "choice", "choices", "lines", "group"]
_MISSING = object()


@dataclass
class StepField:
    """One field, or a group of them.

    Attributes:
        name: of the control; the path with dots inside the parameters.
        path: as errors name it.
        value: as the control shows it; lists as lines.
        default: for people.
        is_own: for a group that may be left out: whether it is given.
    """

    name: str
    key: str
    kind: FieldKind
    label: str
    path: str
    help: str = ""
    value: Any = ""
    default: str = ""
    is_given: bool = False
    choices: Sequence[str] = ()
    is_optional: bool = False
    fields: list[StepField] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    input: str = "text"

    @property
    def has_given(self) -> bool:
        """Whether something in it is not as it would be by itself."""
        return self.is_given or bool(self.errors) or any(item.has_given for item in self.fields)


def fields_of(
    model: type[BaseModel],
    given: Mapping[str, Any],
    prefix: str,
    path: str,
    names: Mapping[str, Sequence[str]],
) -> list[StepField]:
    """Fields for the parameters of a model.

    Args:
        given: parameters as they are stored or were typed.
        prefix: of the names of controls.
        path: of the parameters, as errors name it.
        names: choices that only the platform knows, by the field's key (``nodes``).
    """
    return [
        _field(key, info, given.get(key, _MISSING), f"{prefix}.{key}", join(path, key), names)
        for key, info in model.model_fields.items()
    ]


def values_from(model: type[BaseModel], posted: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Parameters from a posted form: what is as it would be by itself is left out.

    What cannot be read stays as it was typed, for the model to say what is wrong with it.

    Args:
        posted: a QueryDict.
    """
    values: dict[str, Any] = {}
    for key, info in model.model_fields.items():
        name = f"{prefix}.{key}"
        inner = _model_in(info.annotation)
        if inner is not None:
            if _is_optional(info.annotation) and posted.get(f"{name}.") != "on":
                continue
            found: Any = values_from(inner, posted, name)
            if found or _is_optional(info.annotation):
                values[key] = found
            continue
        value = _read(info, posted, name)
        if value is not _MISSING and (info.is_required() or value != _plain(_default(info))):
            values[key] = value
    return values


def _field(
    key: str,
    info: FieldInfo,
    value: Any,
    name: str,
    path: str,
    names: Mapping[str, Sequence[str]],
) -> StepField:
    default = _default(info)
    is_given = value is not _MISSING and value != _plain(default)
    made = StepField(
        name=name,
        key=key,
        kind=_kind(info, key, names),
        label=key.replace("_", " "),
        path=path,
        help=info.description or "",
        is_given=is_given,
        is_optional=_is_optional(info.annotation),
        default=_shown(default),
        choices=_choices(info, key, names),
    )
    inner = _model_in(info.annotation)
    if inner is not None:
        parts = value if isinstance(value, Mapping) else {}
        made.fields = fields_of(inner, parts, name, path, names)
        made.is_given = isinstance(value, Mapping) and (made.is_optional or bool(value))
        made.value = isinstance(value, Mapping)
        return made
    shown = _plain(default) if value is _MISSING else value
    made.value = _as_control(shown, made.kind)
    if made.kind == "choices":
        made.choices = [*made.choices, *(item for item in made.value if item not in made.choices)]
    elif made.kind == "choice" and made.value not in made.choices:
        made.choices = [*made.choices, made.value]
    return made


def _kind(info: FieldInfo, key: str, names: Mapping[str, Sequence[str]]) -> FieldKind:
    annotation = _without_none(info.annotation)
    has_choices = bool(_choices(info, key, names))
    if _model_in(info.annotation) is not None:
        return "group"
    if annotation is bool:
        return "yes-no"
    if typing.get_origin(annotation) in (tuple, list, set, frozenset):
        return "choices" if has_choices else "lines"
    if has_choices:
        return "choice"
    return "number" if annotation in (int, float) else "text"


def _choices(info: FieldInfo, key: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    annotation = _without_none(info.annotation)
    if typing.get_origin(annotation) is Literal:
        listed = [str(item) for item in typing.get_args(annotation)]
        return ["", *listed] if _is_optional(info.annotation) else listed
    extra = info.json_schema_extra
    if isinstance(extra, Mapping):
        listed_here = extra.get("choices")
        if isinstance(listed_here, list | tuple):
            return [str(item) for item in listed_here]
    is_list = typing.get_origin(annotation) in (tuple, list, set, frozenset)
    return list(names.get(key, ())) if is_list or annotation is str else []


def _read(info: FieldInfo, posted: Any, name: str) -> Any:
    annotation = _without_none(info.annotation)
    if typing.get_origin(annotation) in (tuple, list, set, frozenset):
        if name not in posted and f"{name}-is-list" not in posted:
            return _MISSING
        texts = posted.getlist(name)
        return [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    if annotation is bool:
        return posted.get(name) == "on" if f"{name}-is-box" in posted else _MISSING
    if name not in posted:
        return _MISSING
    text = str(posted[name])
    if not text.strip() and (_is_optional(info.annotation) or annotation in (int, float)):
        return None if _is_optional(info.annotation) else _MISSING
    if annotation is str or typing.get_origin(annotation) is Literal:
        return text
    return _number(text.strip(), annotation)


def _number(text: str, annotation: Any) -> Any:
    for kind in (int, float):
        if annotation is int and kind is float:
            break
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _as_control(value: Any, kind: FieldKind) -> Any:
    if kind == "choices":
        return [str(item) for item in value] if isinstance(value, list | tuple) else []
    if kind == "lines":
        items = value if isinstance(value, list | tuple) else [value]
        return "\n".join(str(item) for item in items)
    if kind == "yes-no":
        return bool(value)
    return "" if value is None else str(value)


def _default(info: FieldInfo) -> Any:
    """What counts where nothing is given; empty where something has to be."""
    return "" if info.is_required() else info.get_default(call_default_factory=True)


def _plain(value: Any) -> Any:
    """A default as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return value


def _shown(default: Any) -> str:
    if isinstance(default, BaseModel) or default is None or default == "":
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple | list):
        return ", ".join(str(item) for item in default)
    return str(default)


def _is_optional(annotation: Any) -> bool:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return is_union and type(None) in typing.get_args(annotation)


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        left = [item for item in typing.get_args(annotation) if item is not type(None)]
        annotation = left[0] if len(left) == 1 else annotation
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    found = _without_none(annotation)
    is_model = isinstance(found, type) and issubclass(found, BaseModel)
    return found if is_model else None
