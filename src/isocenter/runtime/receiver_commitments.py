"""Storage Commitment in the receiver, from the first peer that may ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocenter.core.network.command import RESOURCE_LIMITATION
from isocenter.core.network.commitment import CommitmentRefused, Promise
from isocenter.core.network.commitment_data import CommitmentRequest, CommitmentResult
from isocenter.core.network.query_model import QueryRefused
from isocenter.core.network.services import AssociationInfo
from isocenter.runtime.receiver_archive import ArchiveBoot

if TYPE_CHECKING:
    from isocenter.apps.dimse.services import ArchiveKeeper


class LazyKeeper:
    """A `CommitmentProvider` that waits for the archive where it has to."""

    def __init__(self, boot: ArchiveBoot) -> None:
        self._boot = boot

    def admit(self, info: AssociationInfo, *, is_result: bool) -> None:
        """Before anything is read of what a caller sends."""
        self._keeper().admit(info, is_result=is_result)

    def accept(self, info: AssociationInfo, request: CommitmentRequest) -> Promise:
        """Take a request of a node."""
        return self._keeper().accept(info, request)

    def take_result(self, info: AssociationInfo, result: CommitmentResult) -> None:
        """Note what a node keeps."""
        self._keeper().take_result(info, result)

    def prepare(self) -> None:
        """A peer may ask soon; returns at once."""
        self._boot.prepare()

    def close(self) -> None:
        """The association of this thread has ended."""
        if self._boot.is_ready:
            self._keeper().close()

    def _keeper(self) -> ArchiveKeeper:
        try:
            self._boot.wait()
        except QueryRefused as error:
            raise CommitmentRefused(RESOURCE_LIMITATION, str(error)) from None
        from isocenter.apps.dimse.services import ArchiveKeeper

        return ArchiveKeeper()
