"""Instances as parts of an answer: files as they lie there, or made while they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.archive.services import TARGETS, transcoded
from isocenter.apps.dicomweb.accept import DICOM, OCTETS
from isocenter.apps.dicomweb.addresses import place_of
from isocenter.apps.dicomweb.bulk_data import contents_of
from isocenter.apps.dicomweb.files_sent import TransferBroken, whole_file
from isocenter.apps.dicomweb.multipart_answers import Part
from isocenter.apps.dicomweb.syntaxes import EXPLICIT_LITTLE_ENDIAN, Outgoing, runs_of
from isocenter.core.errors import NotFound

_PIXEL_DATA = "7FE00010"


def dicom_type(syntax: str) -> str:
    """Media type of an instance in a syntax."""
    return f"{DICOM}; transfer-syntax={syntax}"


def as_parts(going: Sequence[Outgoing], base: str) -> list[Part] | Iterator[Part]:
    """Part 10 files: a list where all go out as they are stored, so that the length is known."""
    if all(each.is_as_stored for each in going):
        return [
            Part(
                dicom_type(each.syntax),
                (whole_file(each.instance.path, each.instance.size),),
                _place(base, each.instance),
            )
            for each in going
        ]
    return _made(going, base)


def _made(going: Sequence[Outgoing], base: str) -> Iterator[Part]:
    for syntax, instances in runs_of(going):
        # What is never written here goes as it is stored, beside others that are transcoded.
        with transcoded(instances, syntax if syntax in TARGETS else "*") as made:
            for instance, path, reason in made:
                if path is None:
                    raise TransferBroken(f"an instance cannot be transcoded: {reason}")
                content = whole_file(path, path.stat().st_size)
                yield Part(dicom_type(syntax), (content,), _place(base, instance))


def as_octets(instances: Sequence[StoredInstance], base: str) -> list[Part]:
    """Pixel data of each instance as it is stored; instances without it have no part.

    Raises:
        NotFound: none of them has pixel data.
    """
    parts = []
    for each in instances:
        place = _place(base, each)
        try:
            found = queries.bulk_data(each.study_uid, each.series_uid, each.sop_uid, _PIXEL_DATA)
        except NotFound:
            continue
        kind = OCTETS
        if found.transfer_syntax_uid != EXPLICIT_LITTLE_ENDIAN:
            kind = f"{OCTETS}; transfer-syntax={found.transfer_syntax_uid}"
        for part in found.parts:
            parts.append(Part(kind, contents_of(part), f"{place}/bulkdata/{_PIXEL_DATA}"))
    if not parts:
        raise NotFound("nothing here has pixel data")
    return parts


def _place(base: str, instance: StoredInstance) -> str:
    return place_of(base, instance.study_uid, instance.series_uid, instance.sop_uid)
