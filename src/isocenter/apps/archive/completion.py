"""When is a study complete? Decided here, purely: no clock, no database, no network.

A *waiter* is whoever wants to know: the platform (the default rule, which decides the study's
state) or a route with a rule of its own. Each waiter has a *settled* revision: the newest one
that it was content with. Content newer than that is *open* for it.

``decide`` answers for one waiter, ``plan`` for all waiters of a study. Everything they need is in
their arguments, all of it comes from the database, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

QUIET_TIME = "quiet time"
COUNT_PATIENCE = timedelta(seconds=5)  # between two looks at a count that was asked for


@dataclass(frozen=True)
class Rule:
    """When content counts as complete.

    Attributes:
        debounce_s: quiet time, in seconds.
        min_instances: fewest instances of the study.
        force_complete_s: seconds from the first receipt of open content to the end of patience.
        on_timeout: then ``process`` as it is, or ``hold`` for a person.
    """

    debounce_s: float = 60
    min_instances: int = 2
    force_complete_s: float = 900
    on_timeout: str = "process"

    def overridden(self, exception: Mapping[str, Any]) -> Rule:
        """The rule with those fields of ``exception`` that are set."""
        known = {field: exception.get(field) for field in self.__dataclass_fields__}
        return replace(
            self, **{field: value for field, value in known.items() if value is not None}
        )


@dataclass(frozen=True)
class Arrival:
    """The instances that a revision added; ``revision`` is None for those newer than all."""

    revision: int | None
    count: int
    first_received_at: datetime


@dataclass(frozen=True)
class SourceCount:
    """What the node that sent the study says it has.

    Attributes:
        node: its name.
        instances: its count; None when it could not be asked.
        checked_at: when it was asked last; None before the first time.
    """

    node: str
    instances: int | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a study's received content (derived instances are not in it)."""

    instances: int
    last_received_at: datetime
    arrivals: tuple[Arrival, ...]
    missing: tuple[str, ...] = ()  # sentences about named series that are not here
    source: SourceCount | None = None  # None: nobody can be asked


class Outcome(StrEnum):
    SETTLED = "settled"  # nothing is open
    WAITING = "waiting"
    COMPLETE = "complete"
    FORCED = "forced"
    HELD = "held"


@dataclass(frozen=True)
class Verdict:
    """What a rule says of the facts.

    Attributes:
        waiting_for: sentences; for FORCED and HELD what was waited for in vain.
        due_at: when to look again; set if and only if the outcome is WAITING.
        wants_count: the source node has to be asked for its count.
    """

    outcome: Outcome
    waiting_for: tuple[str, ...] = ()
    due_at: datetime | None = None
    wants_count: bool = False

    @property
    def is_content(self) -> bool:
        return self.outcome in (Outcome.COMPLETE, Outcome.FORCED)


def decide(
    rule: Rule,
    facts: Facts,
    now: datetime,
    *,
    settled: int = 0,
    awaited: Sequence[str] = (),
) -> Verdict:
    """Judge the content that is newer than revision ``settled``.

    Args:
        awaited: modalities that have to come first.

    ``now`` must not be later than the time up to which everything received is in ``facts``.
    """
    open_content = [
        arrival
        for arrival in facts.arrivals
        if arrival.count and (arrival.revision is None or arrival.revision > settled)
    ]
    if not open_content:
        return Verdict(Outcome.SETTLED)
    quiet_at = facts.last_received_at + timedelta(seconds=rule.debounce_s)
    is_quiet = now >= quiet_at
    reasons = [] if is_quiet else [QUIET_TIME]
    reasons += _lacking(rule, facts)
    reasons += [_awaiting(modality) for modality in awaited]
    wants_count = is_quiet and not reasons and _count_is_stale(facts)
    if facts.source is not None:
        reasons += _source_reasons(facts, facts.source, wanted=wants_count)
    if not reasons:
        return Verdict(Outcome.COMPLETE)
    force_at = min(arrival.first_received_at for arrival in open_content) + timedelta(
        seconds=rule.force_complete_s
    )
    if now >= force_at:
        outcome = Outcome.HELD if rule.on_timeout == "hold" else Outcome.FORCED
        return Verdict(outcome, tuple(reasons))
    due_at = force_at if is_quiet else min(quiet_at, force_at)
    if wants_count:
        due_at = min(force_at, now + COUNT_PATIENCE)
    return Verdict(Outcome.WAITING, tuple(reasons), due_at, wants_count)


def _lacking(rule: Rule, facts: Facts) -> list[str]:
    reasons = []
    if facts.instances < rule.min_instances:
        reasons.append(f"{rule.min_instances} instances at least ({facts.instances} here)")
    reasons += facts.missing
    return reasons


def _count_is_stale(facts: Facts) -> bool:
    """A count from before the last receipt says nothing of what came with it."""
    source = facts.source
    if source is None:
        return False
    return source.checked_at is None or source.checked_at < facts.last_received_at


def _source_reasons(facts: Facts, source: SourceCount, *, wanted: bool) -> list[str]:
    if wanted:
        return [f"source node {source.node} is asked for its count"]
    if source.instances is None or _count_is_stale(facts) or source.instances <= facts.instances:
        return []
    return [
        f"source node {source.node} counts {source.instances} instances ({facts.instances} here)"
    ]


@dataclass(frozen=True)
class Waiter:
    """Who wants to know. ``key`` is a route's id, or None for the platform's default rule.

    ``awaited``: modalities without which the route can do nothing; others need not wait for them.
    """

    key: int | None
    rule: Rule
    settled: int = 0
    name: str = ""
    awaited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done with a study now.

    Attributes:
        verdicts: per waiter's key.
        reason: why a revision is wanted: COMPLETE, FORCED, or None.
        missing: what was waited for in vain when the reason is FORCED.
        content: keys of the waiters that are content now; their routes are to be evaluated.
        state: the study's state, ``receiving|waiting|complete|held``.
        waiting_for: sentences for people.
        due_at: the earliest time at which any waiter wants another look.
    """

    verdicts: Mapping[int | None, Verdict]
    reason: Outcome | None
    missing: tuple[str, ...]
    content: tuple[int | None, ...]
    state: str
    waiting_for: tuple[str, ...]
    due_at: datetime | None
    wants_count: bool


def plan(facts: Facts, waiters: Sequence[Waiter], now: datetime) -> Plan:
    """Decide for all waiters of a study; the one with key None must be among them."""
    verdicts = {
        waiter.key: decide(waiter.rule, facts, now, settled=waiter.settled, awaited=waiter.awaited)
        for waiter in waiters
    }
    content = tuple(key for key, verdict in verdicts.items() if verdict.is_content)
    reason = _reason(verdicts.values())
    missing = (
        next(v.waiting_for for v in verdicts.values() if v.outcome is Outcome.FORCED)
        if reason is Outcome.FORCED
        else ()
    )
    due = [verdict.due_at for verdict in verdicts.values() if verdict.due_at is not None]
    return Plan(
        verdicts=verdicts,
        reason=reason,
        missing=missing,
        content=content,
        state=_state(verdicts, waiters),
        waiting_for=_sentences(waiters, verdicts),
        due_at=min(due, default=None),
        wants_count=any(verdict.wants_count for verdict in verdicts.values()),
    )


def _reason(verdicts: Iterable[Verdict]) -> Outcome | None:
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.COMPLETE in outcomes:
        return Outcome.COMPLETE
    return Outcome.FORCED if Outcome.FORCED in outcomes else None


def _state(verdicts: Mapping[int | None, Verdict], waiters: Sequence[Waiter]) -> str:
    """The default rule's word; a route that lacks something outlasts it."""
    default = verdicts[None]
    if default.outcome is not Outcome.WAITING:
        lacking = {verdicts[waiter.key].outcome for waiter in waiters if waiter.awaited}
        if Outcome.HELD in {default.outcome, *lacking}:
            return "held"
        return "waiting" if Outcome.WAITING in lacking else "complete"
    return "receiving" if QUIET_TIME in default.waiting_for else "waiting"


def _sentences(
    waiters: Sequence[Waiter], verdicts: Mapping[int | None, Verdict]
) -> tuple[str, ...]:
    """What the default rule waits for, then what single routes wait for beyond that."""
    default = verdicts[None]
    shown = list(default.waiting_for) if not default.is_content else []
    for waiter in waiters:
        verdict = verdicts[waiter.key]
        if waiter.key is None or verdict.outcome not in (Outcome.WAITING, Outcome.HELD):
            continue
        word = "holds" if verdict.outcome is Outcome.HELD else "waits"
        lacking = [_awaiting(modality) for modality in waiter.awaited]
        shown += [f"{reason} (route {waiter.name})" for reason in lacking]
        what = "; ".join(
            reason for reason in verdict.waiting_for if reason not in (*shown, *lacking)
        )
        if what:
            shown.append(f"route {waiter.name} {word}: {what}")
    return tuple(shown)


def _awaiting(modality: str) -> str:
    return f"waiting for {modality}"
