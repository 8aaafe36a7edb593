"""Where a peer that is missing fails its tests in place of skipping them.

``make peers`` installs DCMTK, Orthanc and the others wherever root has apt-get. A machine that
builds releases is such a place: there, a test that says "not installed" has not been run, and
nobody may take that for a pass.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "PEERS_REQUIRED"
_MISSING = ("not installed", "no Chromium", "no dicom3tools", "no dciodvfy")
_OPTIONAL = ("plastimatch",)  # no package that `make peers` installs


def are_required(
    environment: Mapping[str, str],
    *,
    is_root: bool | None = None,
    debian_version: Path = Path("/etc/debian_version"),
) -> bool:
    """``PEERS_REQUIRED=1`` or ``0`` decides; without it: CI, as root, on Debian or Ubuntu."""
    said = environment.get(VARIABLE, "")
    if said:
        return said not in ("0", "no", "false")
    as_root = os.geteuid() == 0 if is_root is None else is_root
    in_ci = environment.get("CI", "").lower() not in ("", "0", "false", "no")
    return in_ci and as_root and debian_version.exists()


def is_missing_peer(reason: str) -> bool:
    """Whether a test was skipped because a program is not there."""
    return any(text in reason for text in _MISSING) and not any(
        name in reason for name in _OPTIONAL
    )
