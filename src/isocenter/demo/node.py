"""A second DICOM node: a storage SCP that writes what it gets into a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from isocenter.core.dicom.part10 import FileMeta, encode_file_meta
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.services import AssociationInfo
from isocenter.core.network.storage import InstanceContext, StorageService
from isocenter.core.network.verification import VerificationService


class FolderNode:
    """Listens on a free loopback port while it is open.

    Attributes:
        folder: one file per instance, named after its SOP Instance UID.
        ae_title: what to call it.
    """

    ae_title = "DEMO_NODE"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._acceptor = Acceptor(
            AcceptorConfig(ae_title=self.ae_title, hosts=("127.0.0.1",)),
            [VerificationService(), StorageService(self._sink)],
            policy=ReceivePolicy,
            events=lambda event: None,
        )

    def __enter__(self) -> FolderNode:
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._acceptor.stop(grace_s=2)

    @property
    def port(self) -> int:
        return int(self._acceptor.addresses[0][1])

    def _sink(self, info: AssociationInfo) -> FolderSink:
        return FolderSink(self.folder)


class FolderSink:
    """Writes each instance to a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def reserve_ok(self) -> bool:
        return True

    def open(self, context: InstanceContext) -> FileWriter:
        name = safe_path_component(context.sop_instance_uid) + ".dcm"
        meta = FileMeta(
            context.sop_class_uid, context.sop_instance_uid, context.transfer_syntax_uid
        )
        return FileWriter(self._folder / name, encode_file_meta(meta))

    def close(self) -> None:
        """Nothing is held between instances."""


class FileWriter:
    """Writes beside the file and renames at the end."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._path = path
        self._part = path.with_suffix(".part")
        self._stream = self._part.open("wb")
        self._stream.write(head)

    def write(self, buffers: Sequence[memoryview]) -> None:
        for buffer in buffers:
            self._stream.write(buffer)

    def commit(self, buffers: Sequence[memoryview]) -> None:
        self.write(buffers)
        self._stream.flush()
        os.fdatasync(self._stream.fileno())
        self._stream.close()
        self._part.rename(self._path)

    def abort(self) -> None:
        self._stream.close()
        self._part.unlink(missing_ok=True)
