"""Every setting as it counts, and where it was written: for the settings page and the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from isocenter.runtime.configuration import KeyPath, hide_password
from isocenter.runtime.settings import Settings
from isocenter.runtime.settings_reference import bounds_text, default_text, kind_text

DEFAULT = "default"
_SECRET = ("password", "secret", "token", "api_key")
HIDDEN = "hidden"


@dataclass(frozen=True)
class InForce:
    """One setting.

    Attributes:
        place: where it was written: ``default``, a file with its line, a variable, an option.
    """

    key: str
    value: str
    default: str
    kind: str
    description: str
    place: str
    variable: str

    @property
    def is_changed(self) -> bool:
        return self.place != DEFAULT


@dataclass(frozen=True)
class Group:
    """The settings of one section."""

    name: str
    description: str
    settings: list[InForce]


def settings_in_force(
    settings: Settings, search: str = "", *, changed_only: bool = False
) -> list[Group]:
    """Sections with the settings that have this text in key or description; secrets are hidden."""
    wanted = search.casefold()
    groups = []
    for name, description, rows in _sections(settings):
        shown = [
            row
            for row in rows
            if wanted in f"{row.key} {row.description} {description}".casefold()
            and (row.is_changed or not changed_only)
        ]
        if shown:
            groups.append(Group(name, description, shown))
    return groups


def _sections(settings: Settings) -> Iterator[tuple[str, str, list[InForce]]]:
    def walk(model: BaseModel, path: KeyPath) -> Iterator[tuple[str, str, list[InForce]]]:
        rows, inner = [], []
        for name, known in type(model).model_fields.items():
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                inner.append((name, value))
            else:
                rows.append(_row(settings, (*path, name), value, known))
        text = " ".join((type(model).__doc__ or "").split()).replace("``", "")
        if rows:
            yield ".".join(path) or "general", text if path else "", rows
        for name, value in inner:
            yield from walk(value, (*path, name))

    yield from walk(settings, ())


def _row(settings: Settings, path: KeyPath, value: Any, known: FieldInfo) -> InForce:
    return InForce(
        key=".".join(path),
        value=_shown(path, value),
        default=default_text(path[-1], known).replace("`", ""),
        kind=f"{kind_text(known.annotation)}{bounds_text(known)}".replace("`", ""),
        description=known.description or "",
        place=_place(settings, path),
        variable="ISOCENTER_" + "__".join(path).upper(),
    )


def _place(settings: Settings, path: KeyPath) -> str:
    """Of the setting itself, else of a part of it (an entry of a table)."""
    places = settings.places
    parts = (place for written, place in places.items() if written[: len(path)] == path)
    return places.get(path) or next(parts, DEFAULT)


def _shown(path: KeyPath, value: Any) -> str:
    if value is None or value in ("", (), {}):
        return ""
    if path[-1].endswith(_SECRET):
        return HIDDEN
    if path == ("database_url",):
        return hide_password(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_inner(item)}" for name, item in value.items())
    return str(value)


def _inner(item: Any) -> str:
    if isinstance(item, BaseModel):
        given = item.model_dump(exclude_none=True)
        return " ".join(f"{name}={each}" for name, each in given.items())
    return str(item)
