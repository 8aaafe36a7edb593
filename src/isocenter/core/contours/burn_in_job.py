"""Burning in a disclaimer in a child process: JSON in, JSON out (see ``core.isolation``)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from isocenter.core.contours.burn_in_series import VERSION, burn_in_series
from isocenter.core.contours.convert import Made, digest_of
from isocenter.core.contours.job import inputs_of, moment
from isocenter.core.contours.options import BurnIn
from isocenter.core.contours.outputs.writer import Progress


def run(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Runs `burn_in_series` for each series.

    Request: ``series``: objects with ``instances`` (paths, or objects with ``path`` and
    ``digest``), ``kind`` and ``role``; ``options`` (`BurnIn.to_json`); ``made_at`` (ISO 8601);
    ``out_dir``; ``known``; ``version``; ``replaces_input`` (default true).

    Result: ``outputs`` and ``reused`` as those of ``contours.job``.

    Raises:
        IsocenterError: an image cannot be read, or cannot take text.
    """
    options = BurnIn.from_json(request.get("options", {}))
    known = frozenset(request.get("known", ()))
    outputs: list[dict[str, str]] = []
    reused: list[str] = []
    series = request["series"]
    for number, item in enumerate(series):
        paths, digests = inputs_of(item, ("instances",))
        determinant = digest_of(
            VERSION,
            str(request.get("version", "")),
            json.dumps(options.to_json(), sort_keys=True),
            *(digests.get(path) or _digest(path) for path in paths),
        )
        if determinant in known:
            reused.append(determinant)
            continue
        folder = Path(request["out_dir"]) / f"series_{number + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        made = burn_in_series(
            paths,
            folder,
            options,
            made_at=moment(request["made_at"]),
            determinant=determinant,
            kind=str(item.get("kind") or "burn-in"),
            role=str(item.get("role") or ""),
            replaces_input=bool(request.get("replaces_input", True)),
            on_progress=_share(progress, number, len(series)),
        )
        outputs += [Made(output, determinant).to_json() for output in made]
    return {"outputs": outputs, "reused": reused}


def _share(progress: Progress, number: int, count: int) -> Progress:
    return lambda fraction, message: progress((number + fraction) / count, message)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
