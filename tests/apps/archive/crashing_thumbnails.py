"""The thumbnail job with a decoder that ends the process on one series."""

from __future__ import annotations

import os
from typing import Any

from isocenter.core.thumbnails import job
from isocenter.core.thumbnails.picture import Rendered


def run(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    render = job.render

    def crash(path: Any, **more: Any) -> Rendered:
        if path.parent.name.endswith(".2"):
            os._exit(139)
        return render(path, **more)

    job.render = crash  # type: ignore[attr-defined]
    return job.run(request, progress)
