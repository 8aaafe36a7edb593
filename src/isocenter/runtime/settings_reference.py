"""The configuration reference, made from the settings model."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from isocenter.runtime.settings import Settings

_HEAD = """# Configuration

This page is made from the settings model (`isocenter config reference`); a test keeps it current.

Each setting is taken from the last of these places that has it:

1. the default in this table
2. the YAML file: `--config FILE`, else `ISOCENTER_CONFIG`, else `isocenter.yaml` in the data
   directory
3. the environment: `ISOCENTER_` and the key in capitals, sections joined by two underscores:
   `ISOCENTER_RECEIVER__PORT=104`. Lists: `a,b` or `[a, b]`.
4. the command line (`--data-dir`, `--http-port`, `--dicom-port`, `--workers`)

`~` is the home directory. An unknown key is an error that names the key, the place and the nearest
key that exists. `isocenter config show` prints what counts, `isocenter config check` says
what is wrong.

```yaml
receiver:
  port: 104
  ae_title: GATEWAY
completion:
  debounce_s: 30
  sources:
    CT_SCANNER_1:
      debounce_s: 120
```
"""


def reference_page() -> str:
    """The whole page as Markdown."""
    sections = [_HEAD, _section("General", "", Settings, "")]
    for name, model in _models(Settings):
        sections.append(_section(f"`{name}`", model.__doc__ or "", model, f"{name}."))
    return "\n".join(sections)


def _models(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        inner = _section_model(field)
        if inner is not None:
            yield f"{prefix}{name}", inner
            yield from _models(inner, f"{prefix}{name}.")


def _section_model(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _section(title: str, text: str, model: type[BaseModel], prefix: str) -> str:
    rows = [
        f"| `{prefix}{name}` | {kind_text(field.annotation)}{bounds_text(field)} "
        f"| {default_text(name, field)} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if _section_model(field) is None
    ]
    body = "\n".join(["| key | kind | default | |", "|---|---|---|---|", *rows])
    intro = " ".join(text.split()).replace("``", "`")
    return f"## {title}\n\n{intro}\n\n{body}\n" if intro else f"## {title}\n\n{body}\n"


_NAMES: dict[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    type(None): "empty",
}


def kind_text(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind_text(argument) for argument in arguments)
    if origin is typing.Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin is tuple:
        return f"list of {kind_text(arguments[0])}"
    if origin is dict:
        return f"{kind_text(arguments[0])} → {kind_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ", ".join(f"`{name}`" for name in annotation.model_fields)
    return _NAMES.get(annotation, "network" if "Network" in str(annotation) else "text")


def bounds_text(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = f"≥ {rule.ge}"
        elif isinstance(rule, annotated_types.Gt):
            low = f"> {rule.gt}"
        elif isinstance(rule, annotated_types.Le):
            high = f"≤ {rule.le}"
        elif isinstance(rule, annotated_types.MaxLen):
            high = f"up to {rule.max_length} characters"
    said = ", ".join(part for part in (low, high) if part)
    return f", {said}" if said else ""


def default_text(name: str, field: FieldInfo) -> str:
    if name == "data_dir":
        return "`/var/lib/isocenter` as root, else `~/.local/share/isocenter`"
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(part) for part in value)}]`"
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
