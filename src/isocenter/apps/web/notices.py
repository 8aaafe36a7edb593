"""What every page says at its top: that nothing is taken in, or that the disk gets full."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from isocenter.runtime.health import disk
from isocenter.runtime.state_files import read_state


@dataclass(frozen=True)
class Notice:
    """A sentence for everybody who is signed in."""

    level: str  # danger or warning
    title: str
    text: str


def notices() -> list[Notice]:
    """Read from a small file and the file system: cheap enough for every page."""
    found = []
    paused = read_state(settings.LAYOUT.run / "receive-policy.json").get("paused")
    if paused:
        found.append(
            Notice("danger", "Reception is paused.", f"Senders are told to try later: {paused}.")
        )
    try:
        state = disk(settings.ISOCENTER, settings.LAYOUT)
    except OSError:
        return found
    free, reserve = state.facts["free_mb"], state.facts["reserve_mb"]
    if not paused and not state.ok:
        found.append(
            Notice("danger", "The disk is full.", f"{free} MB free, the reserve is {reserve} MB.")
        )
    elif state.ok and free < 2 * reserve:
        found.append(
            Notice(
                "warning",
                "The disk is nearly full.",
                f"{free} MB free; reception pauses at {reserve} MB.",
            )
        )
    return found
