"""One route or pipeline, kept by the way that files go: the same checks, the same words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from isocenter.apps.routing import services
from isocenter.core.errors import PipelineError


class DefinitionError(PipelineError):
    """What is wrong with one route or pipeline.

    Attributes:
        errors: each with its path inside it.
    """

    def __init__(self, errors: tuple[PipelineError, ...]) -> None:
        super().__init__("\n".join(str(error.args[0]) for error in errors))
        self.errors = errors
        self.path = errors[0].path


def apply_one(kind: str, document: Mapping[str, Any]) -> None:
    """Keep one definition.

    Args:
        kind: ``routes`` or ``pipelines``.

    Raises:
        DefinitionError: everything that is wrong, each with its path.
    """
    try:
        services.apply_yaml(json.dumps({kind: [document]}), where="the request")
    except PipelineError as error:
        found = getattr(error, "errors", (error,))
        raise DefinitionError(tuple(_inside(kind, item) for item in found)) from None


def _inside(kind: str, error: PipelineError) -> PipelineError:
    """An error with its path as seen from the definition, not from the file around it."""
    prefix = f"{kind}[0]"
    text = str(error.args[0]).removeprefix(f"{error.path}: ")
    return PipelineError(text, path=error.path.removeprefix(prefix).lstrip("."), hint=error.hint)
