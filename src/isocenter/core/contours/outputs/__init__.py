"""Outputs of drawn contours: one module per format, found through `WRITERS`.

A module has a `Writer` (see `writer.py`) under the name that the table gives. It is imported
when it is asked for, so that a format costs nothing when nobody wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from isocenter.core.contours.outputs.writer import Output, Scene, Writer
from isocenter.core.errors import ConfigurationError

__all__ = ["WRITERS", "Output", "Scene", "Writer", "writer"]

#: format → "module:name of the writer"
WRITERS: Mapping[str, str] = MappingProxyType(
    {
        "overlay": "isocenter.core.contours.outputs.overlay:WRITER",
        "seg": "isocenter.core.contours.outputs.seg:WRITER",
        "nifti": "isocenter.core.contours.outputs.nifti:WRITER",
        "nrrd": "isocenter.core.contours.outputs.nrrd:WRITER",
        "stl": "isocenter.core.contours.outputs.stl:WRITER",
        "preview": "isocenter.core.contours.outputs.preview:WRITER",
    }
)


def writer(name: str) -> Writer:
    """The writer of a format.

    Raises:
        ConfigurationError: there is no such format.
    """
    try:
        module, attribute = WRITERS[name].split(":")
    except KeyError:
        raise ConfigurationError(
            f"no output format {name!r}", hint=f"one of {', '.join(WRITERS)}"
        ) from None
    return cast(Writer, getattr(import_module(module), attribute))
