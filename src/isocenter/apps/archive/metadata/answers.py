"""Answers to questions for metadata (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import NotFound


@dataclass(frozen=True)
class Metadata:
    """The metadata of a study, series or instance.

    Attributes:
        etag: strong, without quotes; of the content with a base URL left out: an answer's own tag
            has to differ with the base URL, ``identified`` and the coding.
        instances: how many.
    """

    etag: str
    instances: int

    def json(self, base_url: str, *, identified: bool) -> Iterator[bytes]:
        """One JSON array (``application/dicom+json``), about a megabyte at a time.

        Documents that are not there yet are built before the piece that needs them: take the
        first piece before the answer's head is sent.

        Args:
            base_url: of ``/dicom-web``, without a slash at the end; goes before BulkDataURIs.
            identified: False leaves out what identifies (PS3.15 Table E.1-1), and private
                attributes.

        Raises:
            OSError: a document cannot be written or read.
        """
        raise NotImplementedError

    def gzipped(self, base_url: str, *, identified: bool = True) -> Iterator[bytes]:
        """The same as a gzip stream (``Content-Encoding: gzip``)."""
        raise NotImplementedError

    def datasets(self, base_url: str, *, identified: bool) -> Iterator[dict[str, Any]]:
        """The same as one object per instance."""
        raise NotImplementedError

    def xml(self, base_url: str, *, identified: bool) -> Iterator[bytes]:
        """One Native DICOM Model document (PS3.19 A.1) per instance, for multipart answers."""
        raise NotImplementedError


def metadata(study_uid: str, series_uid: str = "", sop_uid: str = "") -> Metadata:
    """The metadata of a study, of one of its series, or of one instance. Nothing is read yet.

    Raises:
        NotFound: it is not here.
    """
    raise NotFound(f"no study {study_uid} is here")
