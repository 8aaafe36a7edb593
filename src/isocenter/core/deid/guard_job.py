"""Searching what is about to leave in a child process: JSON in, JSON out (``core.isolation``).

What identifies is collected anew from the received files, so that nothing that an earlier step
said or forgot can hide what it left.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from isocenter.core.deid.dataset.values import Value, read_values
from isocenter.core.deid.orders import allowed_in
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.proof.identifiers import Identifiers, identifiers_of
from isocenter.core.deid.proof.plain_files import PlainSearch
from isocenter.core.deid.proof.verifier import Verifier
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.errors import DicomError, Refused
from isocenter.core.isolation import Progress


@dataclass(frozen=True)
class GuardInstructions:
    """What the child must know and nobody may read.

    Attributes:
        policy: what its options retain is not looked for.
        alias: what the patient is called now, which may stand there.
        days: ``YYYYMMDD`` that mean no day of the study, for example when a step was done.
    """

    policy: Policy = field(repr=False)
    alias: PatientAlias = field(repr=False)
    days: frozenset[str] = field(default=frozenset(), repr=False)

    def sealed(self) -> bytes:
        """For the private pipe."""
        return pickle.dumps(self)

    @classmethod
    def opened(cls, data: bytes) -> Self:
        """From the private pipe.

        Raises:
            TypeError: something else was sent.
        """
        found = pickle.loads(data)  # noqa: S301 - from our own parent
        if not isinstance(found, cls):
            raise TypeError("no instructions")
        return found


def run(request: dict[str, Any], progress: Progress, private: bytes) -> dict[str, Any]:
    """Searches files for what identifies the originals.

    Request: ``originals``: paths of the received files; ``files``: objects with ``path``,
    ``digest`` (SHA-256 that the file must have), ``name`` that it leaves by, ``is_dicom``, and
    ``excused``: elements of this file that a site's own rule keeps, by path. ``kept``: what
    de-identification made, objects with ``path`` and ``excused``: a file that a later step made of
    it may have the same values in the same elements. What identifies people is a finding there too.

    Result: ``searched``: how many files; ``terms``: how many identifiers; ``findings``: objects
    with ``file`` (its place in ``files``), ``where`` and ``kind``; kind ``changed`` says that the
    file is not what was made. Nothing of it identifies.

    Raises:
        Refused: an original cannot be read, so that nobody knows what to look for.
        OSError: a file cannot be read.
    """
    told = GuardInstructions.opened(private)
    originals = [Path(path) for path in request["originals"]]
    identifiers = _collected(originals, progress)
    allowed = allowed_in(told.policy, told.alias, identifiers)
    allowed = replace(allowed, days=allowed.days | told.days)
    verifier = Verifier(identifiers, told.policy, allowed)
    plain = PlainSearch(identifiers, told.policy)
    files: list[Mapping[str, Any]] = request["files"]
    copied = _copied(request.get("kept", ()))
    findings = []
    for number, item in enumerate(files):
        progress(0.3 + 0.7 * number / len(files), f"{number} of {len(files)} files searched")
        for where, kind in _in_file(item, verifier, plain, copied):
            findings.append({"file": number, "where": where, "kind": kind})
    terms = len(identifiers.terms(told.policy)) + len(identifiers.days) + len(identifiers.uids)
    return {"searched": len(files), "terms": terms, "findings": findings}


def _collected(originals: Iterable[Path], progress: Progress) -> Identifiers:
    paths = list(originals)
    parts, broken = [], 0
    for number, path in enumerate(paths):
        progress(0.3 * number / len(paths), f"{number} of {len(paths)} originals read")
        try:
            parts.append(identifiers_of(read_values(path).values))
        except Exception:  # whatever it was, nobody knows what is in that file
            broken += 1
    if broken or not parts:
        raise Refused(
            f"{broken} of {len(paths)} received files cannot be read, so it is not known what "
            "must not leave"
        )
    return Identifiers.merged(parts)


def _copied(kept: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Elements that a site's rule keeps, with what they say."""
    return frozenset(
        (value.path, _said(value))
        for item in kept
        for value in read_values(Path(item["path"])).values
        if value.path in item["excused"]
    )


def _said(value: Value) -> str:
    return value.decoder.decode(value.raw).strip(" \0")


def _excused(
    item: Mapping[str, Any], path: Path, copied: frozenset[tuple[str, str]]
) -> frozenset[str]:
    """Elements of a file that a site's rule keeps in it, or in what it was made of."""
    given = frozenset(item.get("excused", ()))
    places = {where for where, _ in copied} - given
    if not places:
        return given
    try:
        values = read_values(path).values
    except DicomError:  # the verifier finds that, too
        return given
    return given | {v.path for v in values if v.path in places and (v.path, _said(v)) in copied}


def _in_file(
    item: Mapping[str, Any],
    verifier: Verifier,
    plain: PlainSearch,
    copied: frozenset[tuple[str, str]],
) -> Iterator[tuple[str, str]]:
    path = Path(item["path"])
    if not path.is_file():
        yield "file", "gone"
        return
    if item["is_dicom"]:
        found, _ = verifier.check_kept(path, None, _excused(item, path, copied))
        yield from sorted({(one.where, one.kind) for one in found})
    else:
        yield from plain.check(path, item["name"])
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != item["digest"]:
            yield "file", "changed"
