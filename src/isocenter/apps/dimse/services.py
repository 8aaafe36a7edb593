"""What the receiver uses of the archive: providers of its query and retrieve services."""

from __future__ import annotations

from isocenter.apps.dimse.finding import ArchiveFinder
from isocenter.apps.dimse.retrieving import ArchiveRetriever

__all__ = ["ArchiveFinder", "ArchiveRetriever"]
