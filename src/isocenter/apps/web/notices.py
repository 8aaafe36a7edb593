"""What every page says at its top: that nothing is taken in, or that the disk gets full."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.apps.archive.queries import disk_state
from isocenter.apps.web.wording import size


@dataclass(frozen=True)
class Notice:
    """A sentence for everybody who is signed in."""

    level: str  # danger or warning
    title: str
    text: str


def notices() -> list[Notice]:
    """Read from a small file and the file system: cheap enough for every page."""
    try:
        state = disk_state()
    except OSError as error:
        return [Notice("danger", "The data directory cannot be read.", error.strerror or "")]
    if state.paused:
        text = f"Senders are told to try later: {state.paused}."
        return [Notice("danger", "Reception is paused.", text)]
    if state.is_low:
        text = f"{size(state.free_bytes)} free; reception pauses at {size(state.reserve_bytes)}."
        return [Notice("warning", "The disk is nearly full.", text)]
    return []
