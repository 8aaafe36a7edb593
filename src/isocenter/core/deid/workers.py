"""What one process does: looks at files, and de-identifies and verifies the objects of a study.

Everything that goes in and comes out can be pickled; nothing is remembered but the study at hand.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocenter.core.deid.dataset.structured import StructuredContent
from isocenter.core.deid.dataset.values import Content, Value, read_values
from isocenter.core.deid.engine import (
    REFUSED_SOP_CLASSES,
    Context,
    ObjectResult,
    deidentify_object,
)
from isocenter.core.deid.pixels.documents import DocumentInspector, is_dropped
from isocenter.core.deid.pixels.graphics import GraphicsHandler
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.profile import GRAPHICS, STRUCTURED_CONTENT
from isocenter.core.deid.proof.identifiers import Identifiers, identifiers_of
from isocenter.core.deid.proof.verifier import Allowed, Verifier
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.standard.actions import Action, Record
from isocenter.core.deid.text.descriptors import Cleaner
from isocenter.core.deid.text.lexicon import Lexicon
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import DicomError, NotDicomError

_STUDY_UID, _SERIES_UID, _SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021
_BURNED_IN = 0x00280301
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_ATTRIBUTES = {0x00100010: "PatientName", 0x00080020: "StudyDate", _STUDY_UID: "StudyInstanceUID"}
_WANTED = frozenset((*_ATTRIBUTES, _PATIENT_ID, _ISSUER, _BURNED_IN, _SOP_UID, _SERIES_UID))


NOBODY = PatientKey("", "")


@dataclass(frozen=True)
class Seen:
    """A file as the first pass saw it.

    Attributes:
        path: of the file.
        skipped: why it is no object of a study: no DICOM, a DICOMDIR.
        study_uid: original; empty if it has none.
        sop_uid: original.
        patient: whose.
        attributes: original values by keyword, for pseudonyms.
        identifiers: what identifies in it.
        needs_pixels: its header alone says that pixels or overlays have to be looked at.
        problem: why it cannot be de-identified.
    """

    path: Path
    skipped: str = ""
    study_uid: str = ""
    sop_uid: str = ""
    patient: PatientKey = NOBODY
    attributes: Mapping[str, str] = field(default_factory=dict)
    identifiers: Identifiers = field(default_factory=Identifiers)
    needs_pixels: bool = False
    problem: str = ""


def look_at(paths: Sequence[Path]) -> list[Seen]:
    """First pass over some files."""
    return [_seen_whatever(path) for path in paths]


def _seen_whatever(path: Path) -> Seen:
    """One file; what nobody foresaw is said of this file, and the others are looked at."""
    try:
        return _seen(path)
    except Exception as error:
        return Seen(path, problem=_failure(error))


def _seen(path: Path) -> Seen:
    try:
        content = read_values(path)
    except NotDicomError:
        return Seen(path, skipped="no DICOM")
    except (DicomError, OSError) as error:
        return Seen(path, problem=_reason(error))
    return _seen_in(path, content)


def _seen_in(path: Path, content: Content) -> Seen:
    if content.meta.sop_class_uid == MEDIA_DIRECTORY:
        return Seen(path, skipped=REFUSED_SOP_CLASSES[MEDIA_DIRECTORY])
    values = content.values
    texts = {
        value.tag: value.decoder.decode(value.raw)
        for value in values
        if not value.sequences and value.tag in _WANTED
    }
    return Seen(
        path,
        study_uid=texts.get(_STUDY_UID, ""),
        sop_uid=texts.get(_SOP_UID, ""),
        patient=PatientKey.of(texts.get(_ISSUER), texts.get(_PATIENT_ID)),
        attributes={name: texts[tag] for tag, name in _ATTRIBUTES.items() if texts.get(tag)},
        identifiers=identifiers_of(values),
        needs_pixels=texts.get(_BURNED_IN, "").strip().upper() == "YES" or _has_overlay(values),
    )


def _has_overlay(values: Sequence[Value]) -> bool:
    return any(value.tag >> 24 == 0x60 and not value.sequences for value in values)


@dataclass(frozen=True)
class Order:
    """Everything that is the same for all objects of a study.

    Attributes:
        work: folder for the new files, which nobody else writes to.
        lexicon: words that stay besides those that are shipped, folded.
    """

    secret: Secret
    policy: Policy
    alias: PatientAlias
    identifiers: Identifiers
    allowed: Allowed
    work: Path
    lexicon: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """What became of one object.

    Attributes:
        source: the original.
        target: the new file; None where there is none.
        study_uid, series_uid, sop_uid: of the new object.
        sop_class_uid: what it is.
        refused: why it must not leave.
        dropped: the policy leaves objects like it out without ado.
        is_head: an image of a head, whose face the policy wants away.
        findings: (where, kind) of what the verifier found.
        let_through: findings at elements that a site's rule decided: (where, rule).
        excused: where a site's rule keeps what was found: nothing that identifies people.
        actions: counts.
        log: its line of the action log.
        regions, pixels: see :class:`~isocenter.core.deid.proof.report.ObjectReport`.
    """

    source: Path
    target: Path | None = None
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class_uid: str = ""
    refused: str | None = None
    dropped: bool = False
    is_head: bool = False
    findings: tuple[tuple[str, str], ...] = ()
    let_through: tuple[tuple[str, str], ...] = ()
    excused: tuple[str, ...] = ()
    actions: Mapping[str, int] = field(default_factory=dict)
    log: str = ""
    regions: tuple[Mapping[str, Any], ...] = ()
    pixels: str = ""


class StudyWorker:
    """De-identifies objects of one study in this process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        policy = order.policy
        lexicon = Lexicon.load().extended(order.lexicon)
        self._context = Context(
            order.secret,
            policy,
            order.alias,
            order.identifiers,
            Cleaner(order.identifiers, lexicon, policy),
            _handlers(policy),
            documents=DocumentInspector(policy.documents),
        )
        self._folders: set[str] = set()
        self._verifier = Verifier(order.identifiers, policy, order.allowed)

    def deidentify(self, seen: Sequence[tuple[int, Path, bool]]) -> list[Done]:
        """Second pass over some objects: (number in the study, file, needs pixels)."""
        return [self._one(number, path, needs_pixels) for number, path, needs_pixels in seen]

    def _one(self, number: int, source: Path, needs_pixels: bool) -> Done:
        """One object; what nobody foresaw refuses this object, and the others leave."""
        part = self._order.work / f"{number:07}.dcm"
        try:
            return self._done(part, source, needs_pixels)
        except (DicomError, OSError) as error:
            return Done(source, refused=_reason(error))
        except Exception as error:
            return Done(source, refused=_failure(error))
        finally:
            part.unlink(missing_ok=True)

    def _done(self, part: Path, source: Path, needs_pixels: bool) -> Done:
        result = deidentify_object(source, part, self._context, durable=False)
        if result.refused is not None:
            dropped = is_dropped(result.sop_class_uid, self._order.policy.documents)
            return _refused(source, result, result.refused, dropped=dropped)
        is_head = self._is_head(source)
        if is_head and self._order.policy.faces == "refuse":
            return _refused(source, result, "an image of a head, with a face")
        refused, regions, pixels = self._clean_pixels(source, part, needs_pixels)
        if refused is not None:
            return _refused(source, result, refused)
        target = self._placed(part, result)
        if target is None:
            reason = "another object in this study has the same SOP Instance UID"
            return _refused(source, result, reason)
        try:
            findings, excused = self._verify(target, result.records)
        except BaseException:
            target.unlink(missing_ok=True)  # nobody has searched it
            raise
        rules = {r.path: r.rule for r in result.records if r.rule.startswith("site")}
        return Done(
            source,
            target,
            *_uids(result),
            is_head=is_head,
            findings=findings,
            let_through=tuple((where, rules[where]) for where, _ in findings if where in rules),
            excused=excused,
            actions=Counter(str(record.action) for record in result.records),
            log=_log_line(result),
            regions=regions,
            pixels=pixels,
        )

    def _placed(self, part: Path, result: ObjectResult) -> Path | None:
        """The file under its own name; None where another object has that."""
        series, name = map(safe_path_component, (result.series_uid, result.sop_uid))
        target = self._order.work / series / f"{name}.dcm"
        if series not in self._folders:
            target.parent.mkdir(exist_ok=True)
            self._folders.add(series)
        if target.exists():
            return target if target.read_bytes() == part.read_bytes() else None
        part.rename(target)  # objects with one UID are done by one process, one after the other
        return target

    def _is_head(self, source: Path) -> bool:
        if self._order.policy.faces == "ignore":
            return False
        from isocenter.core.deid.pixels.faces import names_head
        from isocenter.core.dicom.reading import read_dataset

        return names_head(read_dataset(source, stop_before_pixels=True))

    def _clean_pixels(
        self, source: Path, part: Path, needs_pixels: bool
    ) -> tuple[str | None, tuple[Mapping[str, Any], ...], str]:
        """Why the object must not leave, blanked regions, and what was done."""
        policy = self._order.policy
        if policy.pixels == "off" and not needs_pixels:
            return None, (), ""
        from isocenter.core.deid import pixels
        from isocenter.core.dicom.reading import read_dataset

        facts = pixels.Facts.of(read_dataset(source, stop_before_pixels=True))
        defaces = policy.faces == "deface"  # the whole series, when all of it is done
        result = pixels.clean(part, part, policy, facts=facts, defaces=defaces)
        regions = tuple(
            {"frame": r.frame, "x": r.x, "y": r.y, "w": r.w, "h": r.h, "source": r.source}
            for r in result.regions
        )
        said = [f"searched by {result.engine}"] if result.inspected else []
        return result.refused, regions, "; ".join([*said, *result.notes])

    def _verify(
        self, target: Path, records: Sequence[Record]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """Findings, and where a site's own rule to keep a value excuses what was found."""
        kept = {r.path for r in records if r.action is Action.KEEP and r.rule.startswith("site")}
        found, excused = self._verifier.check_kept(target, self._order.work, kept)
        places = dict.fromkeys(finding.where for finding in excused)
        return tuple((finding.where, finding.kind) for finding in found), tuple(places)


def _handlers(policy: Policy) -> dict[str, Any]:
    handlers: dict[str, Any] = {STRUCTURED_CONTENT: StructuredContent(policy)}
    if Option.CLEAN_GRAPHICS in policy.options:
        handlers[GRAPHICS] = GraphicsHandler()
    return handlers


def _refused(source: Path, result: ObjectResult, reason: str, *, dropped: bool = False) -> Done:
    log = _log_line(result, reason)
    return Done(source, None, *_uids(result), refused=reason, dropped=dropped, log=log)


def _uids(result: ObjectResult) -> tuple[str, str, str, str]:
    return result.study_uid, result.series_uid, result.sop_uid, result.sop_class_uid


def _reason(error: DicomError | OSError) -> str:
    """Without the file's name, which may be the patient's."""
    if isinstance(error, OSError):
        return f"it cannot be read or written: {error.strerror or type(error).__name__}"
    return str(error)


def _failure(error: Exception) -> str:
    """Of what nobody foresaw the kind alone: its text may have a value of the object in it."""
    return f"the engine failed on it: {type(error).__name__}"


def _log_line(result: ObjectResult, refused: str | None = None) -> str:
    line: dict[str, Any] = {"sop_uid": result.sop_uid, "sop_class_uid": result.sop_class_uid}
    if refused is not None:
        line["refused"] = refused
    line["actions"] = [
        [record.path, record.vr, record.rule, str(record.action), record.old, record.new]
        for record in result.records
    ]
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def deface_some(_: None, series: Sequence[Sequence[Path]]) -> list[str | None]:
    """Take the faces out of some series of new files; why each must not leave, or None."""
    from isocenter.core.deid.pixels.faces import deface_series

    def refused(paths: Sequence[Path]) -> str | None:
        try:
            return deface_series(paths).refused
        except Exception as error:
            return _failure(error)

    return [refused(paths) for paths in series]


_worker: tuple[bytes, StudyWorker] | None = None


def deidentify_some(order: bytes, seen: Sequence[tuple[int, Path, bool]]) -> list[Done]:
    """Second pass in a pool's process, which keeps the study of its last order.

    Args:
        order: a pickled :class:`Order`; pickled once for all tasks of a study.
        seen: see :meth:`StudyWorker.deidentify`.
    """
    import pickle

    global _worker  # noqa: PLW0603 - a process of the pool has no other memory
    if _worker is None or _worker[0] != order:
        try:
            _worker = order, StudyWorker(pickle.loads(order))  # noqa: S301 - from our own parent
        except Exception as error:
            return [Done(path, refused=_failure(error)) for _, path, _ in seen]
    return _worker[1].deidentify(seen)
