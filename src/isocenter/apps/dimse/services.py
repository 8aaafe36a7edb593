"""What the receiver uses of the archive, and what deliveries ask of commitments."""

from __future__ import annotations

from isocenter.apps.dimse.committing import ArchiveKeeper
from isocenter.apps.dimse.database import warm_up
from isocenter.apps.dimse.finding import ArchiveFinder
from isocenter.apps.dimse.requests import Standing, Verdict, ask, give_up_late, standing
from isocenter.apps.dimse.retrieving import ArchiveRetriever

__all__ = [
    "ArchiveFinder",
    "ArchiveKeeper",
    "ArchiveRetriever",
    "Standing",
    "Verdict",
    "ask",
    "give_up_late",
    "standing",
    "warm_up",
]
