"""Files on their way to a node, DICOM, DICOMweb or folder, with a receipt for each."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.apps.transfers import queries
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.pacing import pace_of
from isocenter.core.dicom.reading import header_of
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.network.requestor import ItemResult, Outcome
from isocenter.core.network.requestor import send as send_files

DUPLICATE_SOP_INSTANCE = 0x0111
_PERMANENT = frozenset({0x0106, 0x0112, 0x0117, 0x0119, 0x0122, 0x0124})


@dataclass(frozen=True)
class Parcel:
    """A file to send; ``sop_uid`` is empty for one that is no DICOM instance."""

    path: Path
    sop_uid: str


@dataclass(frozen=True)
class Receipt:
    """What became of a parcel.

    Attributes:
        status: of the C-STORE response (PS3.7 annex C, PS3.4 B.2.3); None where there was none.
        is_permanent: another attempt would be answered the same.
    """

    is_sent: bool
    is_permanent: bool
    status: int | None
    note: str


OnReceipt = Callable[[Parcel, Receipt], None]


def send(
    node: Node,
    parcels: Sequence[Parcel],
    on_receipt: OnReceipt,
    *,
    must_stop: Callable[[], bool],
    associations: int = 1,
) -> None:
    """Send parcels; each receipt is given as it comes, in this thread.

    Args:
        must_stop: asked before each parcel, in any thread.
        associations: how many at once to a DICOM node, at most; one where the node has a rate
            limit, which several would only wait for.

    Raises:
        NetworkError: the peer cannot be reached or breaks the protocol.
        OSError: a file cannot be read, or a folder not written.
    """
    if node.kind == Node.Kind.FOLDER:
        _to_folder(node, parcels, on_receipt, must_stop)
    elif node.kind == Node.Kind.DICOMWEB:
        _to_service(node, parcels, on_receipt, must_stop)
    else:
        _to_peer(node, parcels, on_receipt, must_stop, associations)


def judge(status: int | None, note: str, *, is_final: bool = False) -> Receipt:
    """What a C-STORE status means for us.

    Args:
        is_final: without a status, another attempt would end the same.

    Success and warnings (0xBxxx) are sent; so is 0x0111, which says that the peer has it. What the
    peer will not take whatever we do is permanent: 0x0122, 0xA9xx, 0xCxxx and the like. The rest,
    out of resources (0xA7xx) and processing failure (0x0110) among them, may pass.
    """
    if status is None:
        return Receipt(False, is_final, None, note)
    if status == 0 or 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116):
        text = note if status == 0 else _joined(f"warning 0x{status:04X}", note)
        return Receipt(True, False, status, text)
    if status == DUPLICATE_SOP_INSTANCE:
        return Receipt(True, False, status, _joined("the peer has it already (0x0111)", note))
    is_permanent = status in _PERMANENT or 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF
    return Receipt(False, is_permanent, status, _joined(f"refused with 0x{status:04X}", note))


def _to_peer(
    node: Node,
    parcels: Sequence[Parcel],
    on_receipt: OnReceipt,
    must_stop: Callable[[], bool],
    associations: int,
) -> None:
    there = _present(parcels, on_receipt)

    def told(result: ItemResult) -> None:
        if result.outcome is not Outcome.NOT_SENT:
            # A failure without a status comes from the file itself: sending again mends nothing.
            receipt = judge(result.status, result.note, is_final=True)
            on_receipt(there[result.path], receipt)

    peer = queries.peer_of(node)
    pace = pace_of(node)
    if pace is not None:
        limit = pace
        peer = dataclasses.replace(peer, pace=lambda size: limit.wait(size, must_stop))
    report = send_files(
        list(there),
        peer,
        associations=1 if pace is not None else associations,
        on_result=told,
        is_cancelled=must_stop,
    )
    if report.error is not None and not must_stop():
        raise report.error


def _to_service(
    node: Node,
    parcels: Sequence[Parcel],
    on_receipt: OnReceipt,
    must_stop: Callable[[], bool],
) -> None:
    from isocenter.core.network.dicomweb import store as store_files

    there = _present(parcels, on_receipt)

    def told(result: ItemResult) -> None:
        if result.outcome is not Outcome.NOT_SENT:
            on_receipt(there[result.path], judge(result.status, result.note, is_final=True))

    peer = queries.web_peer_of(node)
    pace = pace_of(node)
    if pace is not None:
        limit = pace
        peer = dataclasses.replace(peer, pace=lambda size: limit.wait(size, must_stop))
    report = store_files(list(there), peer, on_result=told, is_cancelled=must_stop)
    if report.error is not None and not must_stop():
        raise report.error


def _present(parcels: Sequence[Parcel], on_receipt: OnReceipt) -> dict[Path, Parcel]:
    """Those whose file is there; the others fail."""
    there = {parcel.path: parcel for parcel in parcels if parcel.path.is_file()}
    for parcel in parcels:
        if parcel.path not in there:
            on_receipt(parcel, Receipt(False, True, None, "the file is gone"))
    return there


def _joined(text: str, note: str) -> str:
    return f"{text}: {note}" if note else text


def mounted_folder(node: Node) -> Path:
    """The folder of a node, made where only it is not there yet.

    Made with all that is above it, it would fill another disk than the one that is not mounted.

    Raises:
        ConfigurationError: what it lies in is not there.
        OSError: it cannot be made.
    """
    folder = Path(node.folder).expanduser()
    if not folder.parent.is_dir():
        raise ConfigurationError(f"{folder.parent} is not there: is its disk mounted?")
    folder.mkdir(exist_ok=True)
    return folder


def _to_folder(
    node: Node,
    parcels: Sequence[Parcel],
    on_receipt: OnReceipt,
    must_stop: Callable[[], bool],
) -> None:
    folder = mounted_folder(node)
    pace = pace_of(node)
    for parcel in parcels:
        if must_stop():
            return
        if pace is not None:
            pace.wait(parcel.path.stat().st_size, must_stop)
        _copy(parcel.path, folder / _name_in_folder(parcel))
        on_receipt(parcel, Receipt(True, False, None, ""))


def _name_in_folder(parcel: Parcel) -> Path:
    """``<study>/<series>/<sop>.dcm``; other files keep their path inside their run."""
    if parcel.sop_uid:
        try:
            _, header = header_of(parcel.path)
        except IsocenterError:
            return Path(f"{safe_path_component(parcel.sop_uid)}.dcm")
        parts = (header.study_uid, header.series_uid, parcel.sop_uid)
        return Path(*(safe_path_component(part) for part in parts[:2])) / (
            f"{safe_path_component(parcel.sop_uid)}.dcm"
        )
    # …/runs/<run id>/<step>/<path in step>: runs never overwrite each other's files.
    below = parcel.path.parts
    start = len(below) - 1 - below[::-1].index("runs")
    return Path(*below[start + 1 :])


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, part)
        _sync(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
