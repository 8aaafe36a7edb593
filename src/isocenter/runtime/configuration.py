"""Reading the configuration: defaults ← YAML ← environment ← command line.

An error names the key, the place it was written at, and the nearest key that exists.
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml
from pydantic import BaseModel, ValidationError

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.settings import Settings, default_data_dir

PREFIX = "ISOCENTER_"
# Read by us, but no settings.
OTHER_VARIABLES = frozenset(
    {
        "ISOCENTER_CONFIG",
        "ISOCENTER_CONSOLE_LEVEL",
        "ISOCENTER_DEID_KEYS",
        "ISOCENTER_DEID_PROJECTS",
    }
)

KeyPath = tuple[str, ...]


@dataclass
class Layer:
    """Values from one place, and where exactly each was written."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def put(self, path: KeyPath, value: object, place: str) -> None:
        target = self.values
        for key in path[:-1]:
            target = target.setdefault(key, {})
        target[path[-1]] = value
        self.places[path] = place


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """The settings of this process.

    Args:
        config: YAML file; else ``ISOCENTER_CONFIG``, else ``<data dir>/isocenter.yaml`` if there.
        overrides: from the command line; nested sections as dicts, ``None`` means "not given".

    Raises:
        ConfigurationError: unknown key, wrong value, or a file that cannot be read.
    """
    command_line = Layer()
    for path, value in _leaves(_without_none(overrides)):
        command_line.put(path, value, f"--{'.'.join(path).replace('_', '-')}")
    environment = environment_layer(os.environ)
    file = file_layer(config_path(config, command_line, environment))
    layers = [file, environment, command_line]
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer.values)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, layers)) from None
    for layer in layers:
        settings.places.update(layer.places)
    return settings


def config_path(config: Path | None, command_line: Layer, environment: Layer) -> Path | None:
    """Which YAML file counts; ``None`` when there is none."""
    named = config or os.environ.get("ISOCENTER_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigurationError(f"no configuration file {path}")
        return path
    data_dir = command_line.values.get("data_dir") or environment.values.get("data_dir")
    path = Path(data_dir or default_data_dir()).expanduser() / "isocenter.yaml"
    return path if path.is_file() else None


def file_layer(path: Path | None) -> Layer:
    """What a YAML file sets."""
    layer = Layer()
    if path is None:
        return layer
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no YAML: {error}") from None
    if value is None:
        return layer
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: expected keys like 'receiver:', found {value!r:.60}")
    layer.values = value
    for key_path, line in _lines(node, ()):
        if key_path in layer.places:
            raise ConfigurationError(
                f"{path}, line {line}: '{'.'.join(key_path)}' stands twice",
                hint="the first one would be lost silently; keep one",
            )
        layer.places[key_path] = f"{path}, line {line}"
    return layer


def environment_layer(variables: Mapping[str, str]) -> Layer:
    """What ``ISOCENTER_…`` variables set. Lists: YAML (``[a, b]``) or ``a,b``."""
    layer = Layer()
    for name, text in sorted(variables.items()):
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if path[0] not in Settings.model_fields:
            if len(path) > 1:
                layer.put(path, text, f"environment variable {name}")
            continue  # may belong to somebody else; `config check` mentions it
        annotation = _annotation(path)
        layer.put(path, _parse(text, annotation), f"environment variable {name}")
    return layer


def strange_variables(variables: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that set nothing."""
    return [
        name
        for name in sorted(variables)
        if name.startswith(PREFIX)
        and name not in OTHER_VARIABLES
        and name.removeprefix(PREFIX).lower().split("__")[0] not in Settings.model_fields
    ]


def _parse(text: str, annotation: object) -> object:
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    if any(option in (str, Path) for option in options):
        return text or None if type(None) in options else text
    if any(typing.get_origin(option) is tuple for option in options):
        stripped = text.strip()
        if not stripped.startswith("["):
            return [part.strip() for part in stripped.split(",") if part.strip()]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _annotation(path: KeyPath) -> object:
    """The type of the field at this path; ``None`` where the model knows nothing of it."""
    model: Any = Settings
    for index, key in enumerate(path):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        known = model.model_fields.get(key)
        if known is None:
            return None
        if index == len(path) - 1:
            return known.annotation
        model = known.annotation
    return None


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = _without_none(value)
            if inner:
                kept[key] = inner
        elif value is not None:
            kept[key] = value
    return kept


def _leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _lines(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        yield here, key.start_mark.line + 1
        yield from _lines(value, here)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError, layers: list[Layer]) -> str:
    """One sentence for each thing that is wrong."""
    sentences = []
    for found in error.errors():
        path = tuple(str(part) for part in found["loc"])
        place = _place(path, layers)
        if found["type"] == "extra_forbidden":
            near = nearest_key(path)
            hint = f"; did you mean '{near}'?" if near else ""
            sentences.append(f"{place}: there is no setting '{'.'.join(path)}'{hint}")
        else:
            message = _MESSAGES.get(found["type"], found["msg"].removeprefix("Value error, "))
            given = repr(found.get("input"))[:60]
            sentences.append(f"{place}: '{'.'.join(path)}' is {given}: {message}")
    return "\n".join(sentences)


_MESSAGES = {
    "model_type": "keys are expected here, each on a line of its own",
    "model_attributes_type": "keys are expected here, each on a line of its own",
    "tuple_type": "a list is expected, for example [a, b]",
    "ip_any_network": "no network such as 10.0.0.0/8 (bits behind the mask must be 0)",
    "bool_parsing": "true or false is expected",
    "int_parsing": "a whole number is expected",
    "float_parsing": "a number is expected",
    "string_type": "a text is expected",
}


def _place(path: KeyPath, layers: list[Layer]) -> str:
    for layer in reversed(layers):
        for length in range(len(path), 0, -1):
            if path[:length] in layer.places:
                return layer.places[path[:length]]
    return "configuration"


def known_keys() -> list[KeyPath]:
    """Every key there is."""

    def walk(model: type[BaseModel], path: KeyPath) -> Iterator[KeyPath]:
        for name, known in model.model_fields.items():
            yield (*path, name)
            annotation = known.annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from walk(annotation, (*path, name))

    return list(walk(Settings, ()))


def nearest_key(path: KeyPath) -> str:
    """The key that was probably meant; empty when nothing is near."""
    keys = known_keys()
    siblings = [key[-1] for key in keys if key[:-1] == path[:-1]]
    near = difflib.get_close_matches(path[-1], siblings, n=1, cutoff=0.6)
    if near:
        return ".".join((*path[:-1], near[0]))
    elsewhere = [".".join(key) for key in keys if key[-1] == path[-1]]
    if elsewhere:
        return elsewhere[0]
    by_name = difflib.get_close_matches(path[-1], [key[-1] for key in keys], n=1, cutoff=0.75)
    return next((".".join(key) for key in keys if by_name and key[-1] == by_name[0]), "")


def public_values(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, without the password of the database."""
    values = settings.model_dump(mode="json")
    url = values.get("database_url")
    if url:
        values["database_url"] = hide_password(url)
    return values


def hide_password(url: str) -> str:
    """A URL with ``…`` in place of its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:…@{host}"))
