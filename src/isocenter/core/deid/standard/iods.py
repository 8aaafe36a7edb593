"""Types of attributes in the IODs of PS3.3: what must not vanish (PS3.5 7.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

#: Strictest first.
TYPES = ("1", "1C", "2", "2C", "3")


def attribute_type(sop_class_uid: str, path: tuple[int, ...]) -> str | None:
    """The type of the attribute at a path of tags, outermost first.

    Where several modules of the IOD have the attribute, the strictest type counts, whether the
    modules are mandatory or not: what is there had a reason. A nested attribute has the strictest
    type that the standard gives it anywhere in that sequence, because macros nest without end.

    Returns:
        ``1``, ``1C``, ``2``, ``2C`` or ``3``; None where the IOD is unknown. Attributes that the
        IOD does not have count as ``3``.
    """
    if len(path) > 1:
        return _nested(path[-2]).get(path[-1], "3")
    types = _top_level(sop_class_uid)
    return None if types is None else types.get(path[-1], "3")


@cache
def _data() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (files("isocenter.core.deid") / "data" / "iods.json").read_text()
    )
    return read


def _tags(by_type: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for kind, tags in by_type.items():
        for tag in tags.split():
            yield int(tag, 16), kind


@cache
def _nested(sequence: int) -> dict[int, str]:
    return dict(_tags(_data()["nested"].get(f"{sequence:08x}", {})))


@cache
def _top_level(sop_class_uid: str) -> dict[int, str] | None:
    iod = _data()["sop_classes"].get(sop_class_uid)
    if iod is None:
        return None
    types: dict[int, str] = {}
    for module in _data()["iods"][iod]:
        for tag, kind in _tags(_data()["modules"][module]):
            types[tag] = min(types.get(tag, "3"), kind, key=TYPES.index)
    return types
