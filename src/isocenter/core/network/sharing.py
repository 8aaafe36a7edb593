"""A batch of instances over several associations at once.

With one association a sender waits for the peer's answer to each instance, and the peer's latency
is its limit. Here several associations take from the same load. The first one is opened before
the others, which must neither harm nor delay it: a peer that rejects them, or leaves them waiting
because it serves one association at a time, gets everything over the first. None is released
before all instances are answered, for some peers take a release for the end of the study.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import DicomError, IsocenterError, NetworkError

from .carrying import Carrier, Desk, Prepared, Refused, SourceLost
from .client import ClientAssociation, Line, Peer
from .command import MoveOriginator
from .load import Load
from .outcomes import OnResult, failed, not_sent
from .proposals import Batch

MAX_ASSOCIATIONS = 8
_INSTANCES_EACH = 8  # fewer are sent before another association is open
_BYTES_EACH = 32 << 20
_POLL_S = 0.1
#: Longest wait of an association with nothing to do, for peers close idle ones (30 s is common).
_IDLE_S = 15.0
#: An association that never answered, while the others wait for it, is given this long at least.
_PROBATION_S = 5.0
_RELEASE_S = 15.0


@dataclass(frozen=True)
class Carried:
    """How a batch went.

    Attributes:
        error: why an association ended early; None when none did.
        has_peer: False when no association was left at the end.
    """

    error: NetworkError | None
    associations: int
    bytes_sent: int
    has_peer: bool


def useful_associations(paths: Sequence[Path], at_most: int) -> int:
    """How many associations so many files are worth; 1 at least."""
    wanted = min(at_most, len(paths) // 2, MAX_ASSOCIATIONS)
    by_count = len(paths) // _INSTANCES_EACH
    if wanted <= max(by_count, 1):
        return max(wanted, 1)
    return max(1, min(wanted, max(by_count, sum(map(_size, paths)) // _BYTES_EACH)))


def carry(
    batch: Batch,
    peer: Peer,
    *,
    associations: int,
    tell: OnResult,
    is_cancelled: Callable[[], bool],
    originator: MoveOriginator | None = None,
) -> Carried:
    """Send a batch; every instance of it gets one result.

    Args:
        associations: how many at most.
        tell: called in the calling thread.
        is_cancelled: called in any thread.
        originator: who asked for this by C-MOVE.
    """
    load = Load(batch.items)
    try:
        first = ClientAssociation(peer, batch.contexts)
    except NetworkError as error:
        for item in load.left():
            tell(not_sent(item, error))
        return Carried(error, 0, 0, has_peer=False)
    with tempfile.TemporaryDirectory(prefix="isocenter-send-") as folder:
        crew = _Crew(batch, peer, load, first, Path(folder), tell, is_cancelled, originator)
        crew.work(associations)
    for item in load.left():
        tell(not_sent(item, load.error))
    return Carried(load.error, crew.used, crew.bytes_sent, crew.has_peer)


class _Hand:
    """An association at work on the load.

    Args:
        is_trusted: False for one whose peer may turn out not to serve it: until its first answer
            it fails quietly, and others take over what it has.
        pulse: called before each instance, with True now and then while there is none.
    """

    def __init__(
        self,
        load: Load,
        desk: Desk,
        association: ClientAssociation,
        carrier: Carrier,
        *,
        is_trusted: bool,
        pulse: Callable[[bool], None],
    ) -> None:
        self.carrier = carrier
        self.is_broken = False
        self._load = load
        self._desk = desk
        self._association = association
        self._is_trusted = is_trusted
        self._pulse = pulse
        self._held: list[Prepared] = []
        self._sending: Prepared | None = None

    def work(self) -> None:
        """Carry until all instances are answered, by whomever; then release."""
        try:
            with self._association:
                self._carry_all()
        except NetworkError as error:
            self._fail(error)
        finally:
            self._load.leave([ready.item for ready in reversed(self._held)])

    def is_unanswered(self, seconds: float) -> bool:
        """True when it has never had an answer, and waits for one for so long."""
        waits = self._sending is not None and not self._is_proven()
        return waits and time.monotonic() - self.carrier.stirred_at > seconds

    def _carry_all(self) -> None:
        current = self._next_or_wait()
        while current is not None:
            self._pulse(False)
            if self._load.is_stopped:
                break
            self._sending = current
            self.carrier.transfer(current)
            following = self._next()  # read while the peer stores the last
            result = self.carrier.answer(current)
            self._sending = None
            self._held.remove(current)
            current.forget()
            self._load.settle(result)
            current = following or self._next_or_wait()
        if self._load.is_stopped:
            raise self._load.error or NetworkError("sending was stopped")

    def _next_or_wait(self) -> Prepared | None:
        """The next instance that can be sent; None when all are answered, or it takes long."""
        deadline = time.monotonic() + _IDLE_S
        while (ready := self._next()) is None:
            self._pulse(True)
            if self._load.is_over() or time.monotonic() > deadline:
                return None
            self._load.wait_for_more(_POLL_S)
        return ready

    def _next(self) -> Prepared | None:
        while (item := self._load.take()) is not None:
            try:
                ready = self._desk.prepare(item, self.carrier.buffer)
            except (DicomError, OSError) as error:
                status = error.status if isinstance(error, Refused) else None
                self._load.settle(failed(item, status, str(error)))
                continue
            except BaseException:
                self._load.give_back(item)
                raise
            self._held.append(ready)
            return ready
        return None

    def _fail(self, error: NetworkError) -> None:
        self.is_broken = True
        ready = self._sending
        is_quiet = not self._is_proven() and not isinstance(error, SourceLost)
        self._load.fail(error, is_quiet=is_quiet)
        if ready is not None and not is_quiet:
            self._held.remove(ready)
            self._load.settle(not_sent(ready.item, error))

    def _is_proven(self) -> bool:
        return self._is_trusted or self.carrier.answers > 0


class _Helper:
    """A further association in a thread of its own."""

    def __init__(
        self,
        open_one: Callable[[Line], ClientAssociation],
        hand_of: Callable[[ClientAssociation], _Hand | None],
    ) -> None:
        self.hand: _Hand | None = None
        self._open_one = open_one
        self._hand_of = hand_of
        self._line = Line()
        self._thread = threading.Thread(target=self._work, name="sending", daemon=True)

    def start(self) -> None:
        """Open the association and carry; fails without a word."""
        with contextlib.suppress(RuntimeError):  # the system gives no more threads
            self._thread.start()

    def cut(self) -> None:
        """End the association at once."""
        self._line.cut()

    def end(self) -> None:
        """Wait for the release; give up what was not even opened."""
        if self.hand is None:
            self._line.cut(may_say_so=True)
        if self._thread.ident is not None:
            self._thread.join(_RELEASE_S)

    def _work(self) -> None:
        try:
            association = self._open_one(self._line)
        except IsocenterError:
            return
        self.hand = self._hand_of(association)
        if self.hand is not None:
            self.hand.work()
        else:
            with association:
                """Nothing to do for it."""


class _Crew:
    """The first association, in the caller's thread, and its helpers."""

    def __init__(
        self,
        batch: Batch,
        peer: Peer,
        load: Load,
        first: ClientAssociation,
        folder: Path,
        tell: OnResult,
        is_cancelled: Callable[[], bool],
        originator: MoveOriginator | None,
    ) -> None:
        self._originator = originator
        self._batch = batch
        self._peer = peer
        self._load = load
        self._accepted = first.accepted
        self._desk = Desk(batch, first.accepted, folder)
        self._tell = tell
        self._is_cancelled = is_cancelled
        self._helpers: list[_Helper] = []
        load.enter()
        carrier = Carrier(first, originator)
        own = _Hand(load, self._desk, first, carrier, is_trusted=True, pulse=self._pulse)
        self._hands = [own]

    @property
    def used(self) -> int:
        """Associations that carried something; the first one always counts."""
        return 1 + sum(hand.carrier.bytes_sent > 0 for hand in self._hands[1:])

    @property
    def bytes_sent(self) -> int:
        return sum(hand.carrier.bytes_sent for hand in self._hands)

    @property
    def has_peer(self) -> bool:
        return not all(hand.is_broken for hand in self._hands)

    def work(self, associations: int) -> None:
        """Carry the load with as many associations as it is worth, and wait for all."""
        paths = [item.path for item in self._batch.items]
        for _ in range(useful_associations(paths, associations) - 1):
            self._helpers.append(_Helper(self._open_one, self._hand_of))
        try:
            for helper in self._helpers:
                helper.start()
            self._hands[0].work()
            while not self._load.wait_for_all(_POLL_S):
                self._pulse(False)
        except BaseException:
            for helper in self._helpers:
                helper.cut()
            raise
        finally:
            self._load.stop()
            for helper in self._helpers:
                helper.end()
        self._tell_all()

    def _open_one(self, line: Line) -> ClientAssociation:
        return ClientAssociation(self._peer, self._batch.contexts, line=line)

    def _hand_of(self, association: ClientAssociation) -> _Hand | None:
        """None when it cannot be used, or is not needed any more."""
        # Instances are prepared for what the first association accepts.
        if association.accepted != self._accepted or not self._load.enter():
            return None
        hand = _Hand(
            self._load,
            self._desk,
            association,
            Carrier(association, self._originator),
            is_trusted=False,
            pulse=lambda _: self._check(),
        )
        self._hands.append(hand)
        return hand

    def _pulse(self, is_idle: bool) -> None:
        self._tell_all()
        self._check()
        if is_idle:
            self._take_from_the_silent()

    def _tell_all(self) -> None:
        for result in self._load.results():
            self._tell(result)

    def _check(self) -> None:
        """Stop everybody when somebody wants that."""
        if not self._load.is_stopped and self._is_cancelled():
            self._load.stop(NetworkError("sending was cancelled"))

    def _take_from_the_silent(self) -> None:
        """End associations that the peer accepted and does not serve; ours takes over."""
        patience = max(_PROBATION_S, 4 * max(hand.carrier.slowest_s for hand in self._hands))
        for helper in self._helpers:
            if helper.hand is not None and helper.hand.is_unanswered(patience):
                helper.cut()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
