"""When is a study complete? Single rules first, then every order of events."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from isocenter.apps.archive.completion import (
    QUIET_TIME,
    Arrival,
    Facts,
    Outcome,
    Plan,
    Rule,
    SourceCount,
    Waiter,
    decide,
    plan,
)

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = Rule(debounce_s=60, min_instances=2, force_complete_s=900, on_timeout="process")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def facts(count: int = 5, last: float = 0, **more: object) -> Facts:
    values: dict[str, object] = {
        "instances": count,
        "last_received_at": at(last),
        "arrivals": (Arrival(None, count, T0),),
        **more,
    }
    return Facts(**values)  # type: ignore[arg-type]


def test_quiet_for_the_debounce_interval_is_complete() -> None:
    assert decide(RULE, facts(), at(60)).outcome is Outcome.COMPLETE


def test_before_that_it_waits_and_says_when_to_look_again() -> None:
    verdict = decide(RULE, facts(last=10), at(69.9))
    assert verdict.outcome is Outcome.WAITING
    assert verdict.waiting_for == (QUIET_TIME,)
    assert verdict.due_at == at(70)


def test_too_few_instances_are_named() -> None:
    verdict = decide(RULE, facts(count=1), at(60))
    assert verdict.waiting_for == ("2 instances at least (1 here)",)
    assert verdict.due_at == at(900)


def test_a_named_series_that_is_not_here_is_waited_for() -> None:
    sentence = "series 1.2.3 named by RTSTRUCT 1.2.4 is not here"
    verdict = decide(RULE, facts(missing=(sentence,)), at(60))
    assert verdict.outcome is Outcome.WAITING
    assert verdict.waiting_for == (sentence,)


def test_a_demanded_modality_is_waited_for() -> None:
    verdict = decide(RULE, facts(), at(60), awaited=("RTSTRUCT",))
    assert verdict.waiting_for == ("waiting for RTSTRUCT",)


def test_a_route_that_lacks_a_modality_keeps_nobody_else_waiting() -> None:
    waiters = [Waiter(None, RULE), Waiter(7, RULE, name="overlay", awaited=("RTSTRUCT",))]
    decided = plan(facts(), waiters, at(60))
    assert decided.content == (None,)
    assert decided.state == "waiting"
    assert decided.waiting_for == ("waiting for RTSTRUCT (route overlay)",)
    in_vain = plan(
        facts(arrivals=(Arrival(1, 5, T0),)), [Waiter(None, RULE, 1), waiters[1]], at(900)
    )
    assert in_vain.content == (7,)


def test_after_the_force_time_it_is_processed_as_it_is() -> None:
    verdict = decide(RULE, facts(), at(900), awaited=("RTSTRUCT",))
    assert verdict.outcome is Outcome.FORCED
    assert verdict.waiting_for == ("waiting for RTSTRUCT",)


def test_or_held_for_a_person() -> None:
    rule = RULE.overridden({"on_timeout": "hold"})
    verdict = decide(rule, facts(), at(900), awaited=("RTSTRUCT",))
    assert verdict.outcome is Outcome.HELD
    assert verdict.due_at is None


def test_content_that_trickles_without_end_is_forced_too() -> None:
    assert decide(RULE, facts(last=890), at(901)).outcome is Outcome.FORCED


def test_the_force_time_runs_from_the_first_receipt_of_open_content() -> None:
    arrivals = (Arrival(1, 3, at(0)), Arrival(None, 1, at(800)))
    late = facts(count=4, last=800, arrivals=arrivals, missing=("series 1.2.3 …",))
    assert decide(RULE, late, at(1000), settled=1).outcome is Outcome.WAITING
    assert decide(RULE, late, at(1700), settled=1).outcome is Outcome.FORCED


def test_nothing_open_is_settled() -> None:
    settled = facts(arrivals=(Arrival(1, 5, T0),))
    assert decide(RULE, settled, at(10_000), settled=1).outcome is Outcome.SETTLED


def test_the_source_is_asked_once_all_else_is_there() -> None:
    verdict = decide(RULE, facts(source=SourceCount("PACS1")), at(60))
    assert verdict.wants_count
    assert verdict.waiting_for == ("source node PACS1 is asked for its count",)
    assert not decide(RULE, facts(source=SourceCount("PACS1")), at(59)).wants_count


def test_a_source_that_counts_more_is_waited_for() -> None:
    source = SourceCount("PACS1", 7, at(61))
    verdict = decide(RULE, facts(source=source), at(62))
    assert verdict.waiting_for == ("source node PACS1 counts 7 instances (5 here)",)


@pytest.mark.parametrize("counted", [None, 0, 5])
def test_a_source_that_agrees_or_cannot_be_asked_is_no_reason(counted: int | None) -> None:
    source = SourceCount("PACS1", counted, at(61))
    assert decide(RULE, facts(source=source), at(62)).outcome is Outcome.COMPLETE


def test_a_count_from_before_the_last_receipt_is_asked_for_anew() -> None:
    source = SourceCount("PACS1", 5, at(61))
    assert decide(RULE, facts(count=6, last=70, source=source), at(130)).wants_count


def test_a_route_with_a_rule_of_its_own_goes_ahead() -> None:
    waiters = [Waiter(None, RULE), Waiter(7, RULE.overridden({"debounce_s": 5}), name="fast")]
    decided = plan(facts(), waiters, at(5))
    assert decided.content == (7,)
    assert decided.state == "receiving"
    assert decided.due_at == at(60)


def test_a_route_that_waits_longer_is_shown_and_looked_at_again() -> None:
    waiters = [Waiter(None, RULE), Waiter(7, RULE.overridden({"debounce_s": 300}), name="slow")]
    decided = plan(facts(), waiters, at(60))
    assert decided.content == (None,)
    assert decided.state == "complete"
    assert decided.waiting_for == ("route slow waits: quiet time",)
    assert decided.due_at == at(300)


rules = st.builds(
    Rule,
    debounce_s=st.integers(1, 30),
    min_instances=st.integers(1, 4),
    force_complete_s=st.integers(20, 120),
    on_timeout=st.sampled_from(["process", "hold"]),
)


@dataclass
class World:
    """A study and its clock. All of it survives a restart: it is what the database holds."""

    now: float = 0.0
    rules: dict[int | None, Rule] = field(default_factory=lambda: {None: RULE})
    received: list[tuple[float, int | None]] = field(default_factory=list)  # time, revision
    revision: int = 0
    settled: dict[int | None, int] = field(default_factory=dict)
    held: set[int | None] = field(default_factory=set)
    missing: bool = False
    due_at: datetime | None = None

    def arrive(self, count: int, missing: bool) -> None:
        self.received += [(self.now, None)] * count
        self.missing = missing
        self.held.clear()
        soon = at(self.now + 1)
        self.due_at = soon if self.due_at is None else min(self.due_at, soon)

    def tick(self) -> None:
        if self.due_at is None or self.due_at > at(self.now):
            return
        waiters = [
            Waiter(key, own, self.settled.get(key, 0), f"r{key}") for key, own in self.rules.items()
        ]
        decided = plan(self.facts(), waiters, at(self.now))
        for key in decided.content:
            self.check_not_early(key, decided)
        if decided.content and any(revision is None for _, revision in self.received):
            self.revision += 1
            self.received = [(time, r or self.revision) for time, r in self.received]
        for key in decided.content:
            self.settled[key] = self.revision
        self.held |= {k for k, v in decided.verdicts.items() if v.outcome is Outcome.HELD}
        self.due_at = decided.due_at

    def facts(self) -> Facts:
        by: dict[int | None, list[float]] = {}
        for time, revision in self.received:
            by.setdefault(revision, []).append(time)
        return Facts(
            instances=len(self.received),
            last_received_at=at(max(time for time, _ in self.received)),
            arrivals=tuple(Arrival(r, len(ts), at(min(ts))) for r, ts in by.items()),
            missing=("series 1 named by RTSTRUCT 2 is not here",) if self.missing else (),
        )

    def open_times(self, key: int | None) -> list[float]:
        settled = self.settled.get(key, 0)
        return [time for time, r in self.received if r is None or r > settled]

    def check_not_early(self, key: int | None, decided: Plan) -> None:
        own = self.rules[key]
        if decided.verdicts[key].outcome is Outcome.FORCED:
            first = min(self.open_times(key))
            assert at(self.now) >= at(first) + timedelta(seconds=own.force_complete_s)
            assert own.on_timeout == "process"
            return
        last = max(time for time, _ in self.received)
        assert at(self.now) >= at(last) + timedelta(seconds=own.debounce_s)
        assert len(self.received) >= own.min_instances
        assert not self.missing


class Completion(RuleBasedStateMachine):
    """Any order of arrivals, ticks and restarts: never early, never lost, ends content or held."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(default=rules, own=st.lists(rules, max_size=2))
    def configure(self, default: Rule, own: list[Rule]) -> None:
        self.world.rules = {None: default, **dict(enumerate(own, 1))}

    @rule(count=st.integers(1, 3), missing=st.booleans())
    def arrive(self, count: int, missing: bool) -> None:
        self.world.arrive(count, missing)

    @rule(seconds=st.floats(0.1, 70))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def tick(self) -> None:
        self.world.tick()

    @rule()
    def restart(self) -> None:
        self.world = copy.deepcopy(self.world)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whoever has open content is looked at again, or holds it visibly."""
        world = self.world
        for key in world.rules:
            assert not world.open_times(key) or key in world.held or world.due_at is not None

    def teardown(self) -> None:
        """With time and no further arrival everyone becomes content, or holds."""
        world = self.world
        for _ in range(20):
            if world.due_at is None:
                break
            world.now = max(world.now, (world.due_at - T0).total_seconds())
            world.tick()
        assert world.due_at is None
        assert all(not world.open_times(key) or key in world.held for key in world.rules)


TestCompletion = Completion.TestCase
TestCompletion.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
