"""Stored instances in a transfer syntax that somebody asked for: without loss, isolated, bounded.

What is stored in the wanted syntax is given as it is. The others are transcoded a group ahead by
:class:`~isocenter.core.network.conversion.Converter`, in child processes with bounds on memory,
time, nesting, inflated size and rows x columns x frames; a file lasts until the next is asked for.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.dicom.transcode import WRITABLE
from isocenter.core.errors import DicomError
from isocenter.core.network.conversion import Conversion, Converter
from isocenter.core.network.proposals import SendItem

if TYPE_CHECKING:
    from isocenter.apps.archive.queries import StoredInstance

_BATCH = 256  # instances looked at in advance; of them one group of files lies on the disk

#: Transfer syntaxes that :func:`transcoded` can make: explicit and implicit little endian,
#: deflated, RLE, JPEG 2000 lossless, JPEG-LS lossless.
TARGETS = frozenset(map(str, WRITABLE))

#: An instance, its file in the wanted syntax or None, and why there is none.
Transcoded = tuple["StoredInstance", Path | None, str]


@contextmanager
def transcoded(
    instances: Iterable[StoredInstance],
    syntax: str,
    *,
    folder: Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Iterator[Transcoded]]:
    """Instances in a transfer syntax, in their order, made as they are asked for.

    A path is the stored file where that is in the syntax already, else a temporary file, which is
    gone when the next instance is asked for, and at the end.

    Args:
        syntax: one of :data:`TARGETS`; ``*`` gives everything as stored.
        folder: where temporary files go; None means the system's place.
        cancelled: asked while an instance is made; True ends the work, and what was not made yet
            is refused.

    Raises:
        DicomError: nothing is written in this syntax here.
    """
    if syntax not in TARGETS and syntax != "*":
        raise DicomError(
            f"no transfer syntax {syntax[:70]!r} is written here",
            hint="ask for * to get what is stored",
        )
    with tempfile.TemporaryDirectory(prefix="transcoded-", dir=folder) as work:
        yield _made(instances, syntax, Path(work), cancelled)


def _made(
    instances: Iterable[StoredInstance], syntax: str, work: Path, cancelled: Callable[[], bool]
) -> Iterator[Transcoded]:
    rows = iter(instances)
    while batch := list(itertools.islice(rows, _BATCH)):
        items = {row.sop_uid: _item(row) for row in batch if not _is_ready(row, syntax)}
        wanted = [Conversion(item, syntax) for item in items.values()]
        converter = Converter(wanted, work, cancelled)
        for row in batch:
            item = items.get(row.sop_uid)
            if item is None:
                yield row, row.path, ""
            else:
                yield from _converted(row, item, converter)


def _converted(row: StoredInstance, item: SendItem, converter: Converter) -> Iterator[Transcoded]:
    try:
        made = converter.path_of(item)
    except DicomError as error:
        yield row, None, str(error)
        return
    try:
        yield row, made, ""
    finally:
        made.unlink(missing_ok=True)


def _is_ready(row: StoredInstance, syntax: str) -> bool:
    return syntax in ("*", row.transfer_syntax_uid)


def _item(row: StoredInstance) -> SendItem:
    return SendItem(row.path, row.sop_class_uid, row.sop_uid, row.transfer_syntax_uid, 0)
