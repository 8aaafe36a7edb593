"""Instances as parts of an answer: files as they lie there, or made while they are sent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.archive.services import TARGETS, transcoded
from isocenter.apps.dicomweb.accept import ANY_SYNTAX, DICOM, OCTETS, Chosen
from isocenter.apps.dicomweb.addresses import instance_of, place_of
from isocenter.apps.dicomweb.bulk_data import contents_of
from isocenter.apps.dicomweb.errors import NotAcceptable
from isocenter.apps.dicomweb.files_sent import TransferBroken, whole_file
from isocenter.apps.dicomweb.multipart_answers import Part
from isocenter.apps.dicomweb.pixels import frames_decoded
from isocenter.apps.dicomweb.syntaxes import (
    EXPLICIT_LITTLE_ENDIAN,
    Outgoing,
    can_be_decoded,
    runs_of,
)
from isocenter.core.dicom.frames import Frames, find_frames
from isocenter.core.dicom.part10 import IMPLICIT_LITTLE
from isocenter.core.errors import NotFound, Refused
from isocenter.runtime.web.streaming import reader_is_gone

_PIXEL_DATA = "7FE00010"
_NATIVE = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE)  # the pixels of both are the same


def dicom_type(syntax: str) -> str:
    """Media type of an instance in a syntax."""
    return f"{DICOM}; transfer-syntax={syntax}"


def as_parts(going: Sequence[Outgoing], base: str) -> list[Part] | Iterator[Part]:
    """Part 10 files: a list where all go out as they are stored, so that the length is known."""
    if not all(each.is_as_stored for each in going):
        return _made(going, base)
    parts: list[Part] = []
    series, place = ("", ""), ""
    for each in going:
        row = each.instance
        if series != (row.study_uid, row.series_uid):
            series = row.study_uid, row.series_uid
            place = place_of(base, *series)
        content = whole_file(row.file, row.size)
        parts.append(Part(dicom_type(each.syntax), (content,), instance_of(place, row.sop_uid)))
    return parts


def _made(going: Sequence[Outgoing], base: str) -> Iterator[Part]:
    for syntax, instances in runs_of(going):
        # What is never written here goes as it is stored, beside others that are transcoded.
        target = syntax if syntax in TARGETS else "*"
        with transcoded(instances, target, cancelled=reader_is_gone) as made:
            for instance, path, reason in made:
                if path is None:
                    raise TransferBroken(f"an instance cannot be transcoded: {reason}")
                content = whole_file(path, path.stat().st_size)
                yield Part(dicom_type(syntax), (content,), _place(base, instance))


def as_octets(
    instances: Sequence[StoredInstance], taken: Sequence[Chosen], base: str
) -> list[Part] | Iterator[Part]:
    """Pixel data of each instance, in a transfer syntax that the client takes: native little
    endian where it names none (PS3.18 8.7.3.5). What is stored so is one part, compressed pixel
    data one for each frame. Instances without pixel data have no part.

    Raises:
        NotFound: none of them has pixel data.
        NotAcceptable: pixel data of one can be given in no syntax that the client takes.
        Refused: a file cannot be read.
        DicomError: a file is broken.
    """
    found: list[tuple[StoredInstance, queries.BulkData, Frames | None]] = []
    for each in instances:
        try:
            value = queries.bulk_data(each.study_uid, each.series_uid, each.sop_uid, _PIXEL_DATA)
            decoded = _is_decoded(each, value.transfer_syntax_uid, taken)
            found.append((each, value, find_frames(each.path) if decoded else None))
        except NotFound:
            continue
        except OSError as error:
            raise Refused(f"the file of an instance cannot be read: {error.strerror}") from None
    if not found:
        raise NotFound("nothing here has pixel data")
    if all(frames is None for _, _, frames in found):
        return [part for each, value, _ in found for part in _as_stored(each, value, base)]
    return _begun(_octets(found, base))


def _is_decoded(instance: StoredInstance, stored: str, taken: Sequence[Chosen]) -> bool:
    """Whether pixel data have to be decoded for the client.

    Raises:
        NotAcceptable: it takes them in no syntax that they can have.
    """
    is_native = stored == EXPLICIT_LITTLE_ENDIAN
    as_stored = (ANY_SYNTAX, *(_NATIVE if is_native else (stored,)))
    wanted = [(each.quality, each.transfer_syntax or EXPLICIT_LITTLE_ENDIAN) for each in taken]
    for _, syntax in sorted(wanted, key=lambda each: (-each[0], each[1] not in as_stored)):
        if syntax in as_stored:
            return False
        if syntax in _NATIVE and can_be_decoded(instance):
            return True
    raise NotAcceptable(
        f"pixel data stored in transfer syntax {stored} cannot be given as Accept has it",
        hint="transfer-syntax=* takes everything as it is stored",
    )


def _octets(
    found: Sequence[tuple[StoredInstance, queries.BulkData, Frames | None]], base: str
) -> Iterator[Part]:
    for instance, value, frames in found:
        if frames is None:
            yield from _as_stored(instance, value, base)
            continue
        indices = range(frames.header.frames)
        made = frames_decoded(instance, frames, indices, identified=True)
        for number, data in enumerate(made, 1):
            yield Part(OCTETS, (data,), f"{_place(base, instance)}/frames/{number}")


def _as_stored(instance: StoredInstance, value: queries.BulkData, base: str) -> Iterator[Part]:
    kind = OCTETS
    if value.transfer_syntax_uid != EXPLICIT_LITTLE_ENDIAN:
        kind = f"{OCTETS}; transfer-syntax={value.transfer_syntax_uid}"
    for part in value.parts:
        yield Part(kind, contents_of(part), f"{_place(base, instance)}/bulkdata/{_PIXEL_DATA}")


def _begun(parts: Iterator[Part]) -> Iterator[Part]:
    """With the first part made, so that what goes wrong with it can be told."""
    first = next(parts)
    return itertools.chain([first], parts)


def _place(base: str, instance: StoredInstance) -> str:
    return place_of(base, instance.study_uid, instance.series_uid, instance.sop_uid)
