"""Reads objects as the MIDI-B validation script does: every element by its path."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

BULK = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009, 0x54001010, 0x60003000})


@dataclass
class Read:
    """One file.

    Attributes:
        path: where it is.
        name: the same, below the folder that was read.
        dataset: the object, with file meta.
        texts: value by path, as text; multiple values separated by backslashes.
    """

    path: Path
    name: str
    dataset: Dataset
    texts: dict[str, str]
    vrs: dict[str, str]


def text_of(value: Any, vr: str) -> str:
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").rstrip("\0 ")
        except UnicodeDecodeError:
            return value.decode("latin-1").rstrip("\0 ")
    if isinstance(value, BaseTag):
        return str(int(value))
    if vr == "SQ":
        return f"{len(value)} items"
    if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") or vr == "PN":
        if vr == "PN" and not isinstance(value, str) and hasattr(value, "append"):
            return "\\".join(str(part) for part in value)
        return str(value).strip()
    return "\\".join(text_of(part, vr) for part in value)


def walk(dataset: Dataset, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Path, VR and value of every element, items after their sequence."""
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except (ValueError, TypeError, BytesLengthException):
            raw = dataset.get_item(tag)
            yield f"{prefix}<({tag.group:04x},{tag.element:04x})>", "UN", raw.value
            continue
        if tag.is_private and not tag.is_private_creator and element.private_creator:
            label = (
                f'({tag.group:04x},"{element.private_creator.upper()}",{tag.element & 0xFF:02x})'
            )
        else:
            label = f"({tag.group:04x},{tag.element:04x})"
        path = f"{prefix}<{label}>"
        yield path, element.VR, element.value
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from walk(item, f"{path}[<{index:04d}>]")


def read(path: Path, folder: Path | None = None) -> Read | None:
    """An object; None if the file is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path)
        except InvalidDicomError:
            return None
        texts, vrs = {}, {}
        for part in (dataset.file_meta, dataset):
            for where, vr, value in walk(part):
                texts[where] = text_of(value, vr)
                vrs[where] = vr
    name = path.name if folder is None else str(path.relative_to(folder))
    return Read(path, name, dataset, texts, vrs)


def read_folder(folder: Path) -> tuple[list[Read], list[Path]]:
    """Every object below a folder, and every other file."""
    found, others = [], []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            one = read(path, folder)
            if one is None:
                others.append(path)
            else:
                found.append(one)
    return found, others
