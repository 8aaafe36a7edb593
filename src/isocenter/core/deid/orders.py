"""What is to be done with each study of a run: its objects, whose they are, what to look for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.verifier import DUMMY_DAYS, Allowed
from isocenter.core.deid.pseudonyms.dates import shift_date
from isocenter.core.deid.pseudonyms.issuing import PatientAlias, Pseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.standard.standard_uids import has_form_of_uid
from isocenter.core.deid.workers import Done, Order, Seen
from isocenter.core.errors import ConfigurationError


@dataclass(frozen=True)
class Run:
    """What is the same for all studies of a run.

    Attributes:
        out: folder of what leaves: ``<study>/<series>/<object>.dcm`` by new UIDs.
        quarantine: folder of what does not: reasons, and studies that are held.
        lexicon: a site's own words that free text may keep, folded.
        whole_studies: a study of which an object is refused is held as a whole.
        dry_run: everything is done and verified, nothing released.
        log_actions: write the action log of each study to ``actions`` below `out`.
    """

    out: Path
    policy: Policy
    secret: Secret
    pseudonyms: Pseudonyms
    quarantine: Path
    lexicon: tuple[str, ...] = ()
    whole_studies: bool = False
    dry_run: bool = False
    log_actions: bool = True


@dataclass
class Study:
    """One study on its way.

    Attributes:
        uid: original.
        seen: its objects, as the first pass saw them.
        order: what its objects share; None where it cannot be begun.
        reason: why it cannot.
        waiting: objects that are not done.
        done: what became of the others.
    """

    uid: str
    seen: list[Seen]
    order: Order | None = None
    reason: str = ""
    waiting: int = 0
    done: list[Done] = field(default_factory=list)


def grouped(seen: Iterable[Seen]) -> list[Study]:
    """Objects by study, in an order that does not depend on the number of processes."""
    by_uid: dict[str, list[Seen]] = {}
    for one in seen:
        if not one.skipped and not one.problem and one.study_uid:
            by_uid.setdefault(one.study_uid, []).append(one)
    # Objects with the same UID are neighbours, in a process and an order that never change.
    return [
        Study(uid, sorted(members, key=lambda one: (one.sop_uid, one.path)))
        for uid, members in sorted(by_uid.items())
    ]


def prepare(study: Study, run: Run, work: Path) -> None:
    """Give a study its alias and order, or the reason why it cannot be begun.

    Args:
        study: gets the one or the other.
        run: what is the same for all studies.
        work: folder for its new files; made here.

    Raises:
        OSError: the folder cannot be made.
    """
    key = _patient_of(study)
    if key is None:
        study.reason = "its objects are of different patients"
        return
    attributes: dict[str, str] = {}
    for one in study.seen:
        attributes = {**one.attributes, **attributes}
    try:
        alias = run.pseudonyms.alias_for(key, attributes)
    except ConfigurationError as error:
        study.reason = str(error)
        return
    if alias is None:
        study.reason = "Patient ID is empty" if key.is_empty else "no pseudonym for this patient"
        return
    identifiers = Identifiers.merged(one.identifiers for one in study.seen)
    allowed = allowed_in(run.policy, alias, identifiers)
    work.mkdir()
    study.order = Order(run.secret, run.policy, alias, identifiers, allowed, work, run.lexicon)


def new_study_uid(study: Study, run: Run) -> str:
    """As the objects have it; where none was done, as they would have it."""
    found = next((one.study_uid for one in study.done if one.study_uid), "")
    if found:
        return found
    is_kept = Option.RETAIN_UIDS in run.policy.options and has_form_of_uid(study.uid)
    return study.uid if is_kept else run.secret.uid(study.uid, is_instance=True)


def _patient_of(study: Study) -> PatientKey | None:
    """Whose study it is; None if it is of several."""
    keys = {one.patient for one in study.seen}
    known = {key for key in keys if key.issuer}
    if len({key.patient_id for key in keys}) == 1 and len(known) == 1:
        keys = known  # some objects of a study leave the issuer out
    return PatientKey(*keys.pop()) if len(keys) == 1 else None


def allowed_in(policy: Policy, alias: PatientAlias, identifiers: Identifiers) -> Allowed:
    """What the verifier may find: what was chosen, and days that mean others."""
    days = set(DUMMY_DAYS)
    if policy.dates == "shift":
        days |= {shift_date(day, alias.day_shift) or "" for day in identifiers.days}
    texts = frozenset((alias.patient_id, alias.patient_name))
    return Allowed(texts, frozenset(days), alias)
