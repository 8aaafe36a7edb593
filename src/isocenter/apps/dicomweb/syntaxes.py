"""In which transfer syntax each instance goes out (PS3.18 8.7.3.5).

What is stored in a syntax that the client takes goes as it is. The rest is transcoded, without
loss, to the first syntax that it takes and we write. Where it names none, explicit little endian
is meant; what cannot be decoded here (video, syntaxes that nobody knows, JPEG with 12 bits) then
goes as it is, with its syntax named in its part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb.accept import ANY_SYNTAX, Chosen
from isocenter.apps.dicomweb.errors import NotAcceptable
from isocenter.core.dicom.frames import find_frames
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.core.errors import DicomError, PixelError

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@dataclass(frozen=True)
class Outgoing:
    """An instance and the syntax in which it goes out."""

    instance: StoredInstance
    syntax: str

    @property
    def is_as_stored(self) -> bool:
        return self.syntax == self.instance.transfer_syntax_uid


def outgoing(instances: Sequence[StoredInstance], taken: Sequence[Chosen]) -> list[Outgoing]:
    """How each instance goes out.

    Args:
        taken: what the client takes of the form that is given, the best first.

    Raises:
        NotAcceptable: the client takes an instance in no syntax that it can have.
    """
    choices: dict[str, str] = {}
    found = []
    for each in instances:
        stored = each.transfer_syntax_uid
        if stored not in choices:
            choices[stored] = _choice(stored, taken)
        going = Outgoing(each, choices[stored])
        if not going.is_as_stored and not can_be_decoded(each):
            going = Outgoing(each, _choice(stored, taken, is_decodable=False))
        found.append(going)
    return found


def can_be_decoded(instance: StoredInstance) -> bool:
    """Whether there is a decoder for an image, as its first frame tells where its syntax does not.
    What else is wrong with a file is told when it is read.
    """
    from isocenter.core.dicom.decodable import DOUBTFUL, check_decodable
    from isocenter.core.dicom.pixels import DECODABLE

    stored = instance.transfer_syntax_uid
    if stored not in DOUBTFUL:
        return stored in DECODABLE
    try:
        frames = find_frames(instance.path)
    except (DicomError, OSError):
        return True
    try:
        check_decodable(frames)
    except PixelError:
        return False
    except (DicomError, OSError):
        return True
    return True


def runs_of(going: Sequence[Outgoing]) -> Iterator[tuple[str, list[StoredInstance]]]:
    """Neighbours that go out in one syntax, in order."""
    for syntax, group in groupby(going, key=lambda each: each.syntax):
        yield syntax, [each.instance for each in group]


def _choice(stored: str, taken: Sequence[Chosen], *, is_decodable: bool = True) -> str:
    by_quality = sorted(
        taken, key=lambda each: (-each.quality, each.transfer_syntax not in (ANY_SYNTAX, stored))
    )
    for each in by_quality:
        wanted = each.transfer_syntax or EXPLICIT_LITTLE_ENDIAN
        if wanted in (ANY_SYNTAX, stored):
            return stored
        if is_decodable and _can_become(stored, wanted):
            return wanted
        if not each.transfer_syntax:
            return stored
    names = ", ".join(each.transfer_syntax for each in taken if is_valid_uid(each.transfer_syntax))
    raise NotAcceptable(
        f"an instance is stored in transfer syntax {stored}, and cannot be given in {names}",
        hint="transfer-syntax=* takes everything as it is stored",
    )


@cache
def _can_become(stored: str, wanted: str) -> bool:
    from isocenter.apps.archive.services import TARGETS
    from isocenter.core.dicom.pixels import DECODABLE

    return wanted in TARGETS and stored in DECODABLE
