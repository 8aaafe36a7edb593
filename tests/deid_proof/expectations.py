"""What a policy asks of a plant: answers in the words of the MIDI-B validation script.

Kinds of plants, and what is asked:

* ``identity``, ``patient name``, ``birth date``: never in the output.
* ``patient id``: another one, the same for the same patient.
* ``annex``: removed, unless an option of the policy has a K or C for it.
* ``keep``, ``standard uid``: stays under every policy.
* ``uid``: changed, the same everywhere; stays with Retain UIDs.
* ``date``, ``time``: removed, shifted or kept as the policy says.
* ``nested uid``, ``nested date``: the same, but the sequence that holds it may go.
* ``age``: stays with Retain Patient Characteristics, above 89 as ``090Y``.
* ``descriptor``: what identifies goes; with Clean Descriptors the words of radiology stay.
* ``content``, ``content text``, ``content uid``: of SR content; stay with Clean Structured Content.
* ``private``: goes; ``safe private`` stays with Retain Safe Private.
* ``present``: Type 1 or 2, may not vanish.
* ``pixels``: the same samples; ``box``: a burned-in text, covered where the policy looks at pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deid_proof.plants import Plant

TAG_RETAINED = "<tag_retained>"
TEXT_NOTNULL = "<text_notnull>"
TEXT_REMOVED = "<text_removed>"
TEXT_RETAINED = "<text_retained>"
DATE_SHIFTED = "<date_shifted>"
UID_CHANGED = "<uid_changed>"
UID_CONSISTENT = "<uid_consistent>"
PATID_CONSISTENT = "<patid_consistent>"
PIXELS_HIDDEN = "<pixels_hidden>"
PIXELS_RETAINED = "<pixels_retained>"

ACTIONS = (
    TAG_RETAINED,
    TEXT_NOTNULL,
    TEXT_REMOVED,
    TEXT_RETAINED,
    DATE_SHIFTED,
    UID_CHANGED,
    PIXELS_HIDDEN,
    PIXELS_RETAINED,
    UID_CONSISTENT,
    PATID_CONSISTENT,
)


@dataclass(frozen=True)
class Asked:
    """A policy of the proof: its name, options of the profile, arguments of the command."""

    name: str
    options: frozenset[str]
    arguments: tuple[str, ...]

    @property
    def shifts(self) -> bool:
        """Whether dates are shifted."""
        return "retain-modified-dates" in self.options


def _asked(name: str, *options: str, extra: tuple[str, ...] = ()) -> Asked:
    arguments = [part for option in options for part in ("--option", option)]
    return Asked(name, frozenset(options), (*arguments, *extra))


POLICIES = {
    policy.name: policy
    for policy in (
        _asked("basic"),
        Asked("shift", frozenset({"retain-modified-dates"}), ("--dates", "shift")),
        _asked(
            "descriptors",
            "clean-descriptors",
            "clean-structured-content",
            "retain-patient-characteristics",
            "retain-device-identity",
        ),
        _asked("safe-private", "retain-safe-private"),
        _asked("uids", "retain-uids"),
    )
}

Answer = tuple[str, str]  # action, text


def answers(plant: Plant, policy: Asked) -> Iterator[Answer]:
    """The answers for one plant under one policy."""
    yield from _KINDS[plant.kind](plant, policy)


def _removed(plant: Plant, _: Asked) -> Iterator[Answer]:
    for text in plant.removed or (plant.value,):
        yield TEXT_REMOVED, text


def _retained(plant: Plant, _: Asked) -> Iterator[Answer]:
    yield TEXT_RETAINED, plant.value


def _annex(plant: Plant, policy: Asked) -> Iterator[Answer]:
    active = {code for option, code in plant.options.items() if option in policy.options}
    if "K" in active:
        # Two options that differ: either is right. Dates and times: the date policy has a say.
        if active == {"K"} and plant.vr not in {"DA", "DT", "TM", "OB"}:
            yield from _retained(plant, policy)
    elif plant.basic == "U":
        yield UID_CHANGED, plant.value
        yield UID_CONSISTENT, plant.value
    elif active and plant.vr in {"DA", "DT"} and policy.shifts:
        yield DATE_SHIFTED, plant.value
    elif not (active and plant.vr in {"TM", "AE"}):  # these may stay or change
        yield from _removed(plant, policy)


def _uid(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "retain-uids" in policy.options:
        yield TEXT_RETAINED, plant.value
    else:
        yield UID_CHANGED, plant.value
        yield UID_CONSISTENT, plant.value


def _date(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if policy.shifts:
        yield TAG_RETAINED, ""
        yield DATE_SHIFTED, plant.value
    else:
        yield TEXT_REMOVED, plant.value


def _nested_uid(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "retain-uids" not in policy.options:
        yield UID_CHANGED, plant.value
        yield UID_CONSISTENT, plant.value


def _nested_date(plant: Plant, policy: Asked) -> Iterator[Answer]:
    yield (DATE_SHIFTED if policy.shifts else TEXT_REMOVED), plant.value


def _time(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if not policy.shifts:
        yield TEXT_REMOVED, plant.value


def _age(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "retain-patient-characteristics" in policy.options:
        yield TEXT_RETAINED, "090Y" if plant.value > "089Y" else plant.value
    else:
        yield TEXT_REMOVED, plant.value


def _patient_id(plant: Plant, policy: Asked) -> Iterator[Answer]:
    yield TEXT_NOTNULL, ""
    yield TEXT_REMOVED, plant.value
    yield PATID_CONSISTENT, "|".join((plant.value, *plant.retained))


def _patient_name(plant: Plant, policy: Asked) -> Iterator[Answer]:
    yield from _removed(plant, policy)


def _words(option: str) -> Callable[[Plant, Asked], Iterator[Answer]]:
    def answer(plant: Plant, policy: Asked) -> Iterator[Answer]:
        yield from _removed(plant, policy)
        if option in policy.options:
            for text in plant.retained:
                yield TEXT_RETAINED, text

    return answer


def _content(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "clean-structured-content" in policy.options:
        yield TEXT_RETAINED, plant.value


def _content_uid(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "retain-uids" in policy.options:
        return
    yield UID_CHANGED, plant.value
    if "clean-structured-content" in policy.options:
        yield TEXT_NOTNULL, ""
        yield UID_CONSISTENT, plant.value


def _safe_private(plant: Plant, policy: Asked) -> Iterator[Answer]:
    if "retain-safe-private" in policy.options:
        yield TEXT_RETAINED, plant.value
    else:
        yield TEXT_REMOVED, plant.value


def _present(plant: Plant, _: Asked) -> Iterator[Answer]:
    yield TAG_RETAINED, ""


def _pixels(plant: Plant, _: Asked) -> Iterator[Answer]:
    yield PIXELS_RETAINED, plant.value


def _box(plant: Plant, _: Asked) -> Iterator[Answer]:
    yield PIXELS_HIDDEN, plant.value


_KINDS = {
    "identity": _removed,
    "private": _removed,
    "birth date": _removed,
    "patient name": _patient_name,
    "patient id": _patient_id,
    "annex": _annex,
    "keep": _retained,
    "standard uid": _retained,
    "uid": _uid,
    "date": _date,
    "time": _time,
    "nested uid": _nested_uid,
    "nested date": _nested_date,
    "age": _age,
    "descriptor": _words("clean-descriptors"),
    "content": _content,
    "content text": _words("clean-structured-content"),
    "content uid": _content_uid,
    "safe private": _safe_private,
    "present": _present,
    "pixels": _pixels,
    "box": _box,
}
