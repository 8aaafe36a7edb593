"""What became of instances that were sent, and what a C-STORE status means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from isocenter.core.errors import NetworkError

from .command import SOP_CLASS_NOT_SUPPORTED, SUCCESS, Command
from .proposals import SendItem


class Outcome(StrEnum):
    """What became of an instance."""

    STORED = "stored"
    FAILED = "failed"
    NOT_SENT = "not sent"


@dataclass(frozen=True)
class ItemResult:
    """What became of one file.

    Attributes:
        status: the peer's C-STORE status; 0x0122 also when it accepts no presentation context;
            None when there was no answer, or nothing was sent.
        note: a warning, a reason, a conversion; empty when there is nothing to say.
    """

    path: Path
    outcome: Outcome
    status: int | None
    note: str = ""
    sop_instance_uid: str = ""

    @property
    def is_permanent(self) -> bool:
        """True for failures that sending again will not mend."""
        permanent = self.status == SOP_CLASS_NOT_SUPPORTED or (
            self.status is not None and (self.status & 0xFF00 == 0xA900 or self.status >> 12 == 0xC)
        )
        return self.outcome is Outcome.FAILED and permanent


OnResult = Callable[[ItemResult], None]


@dataclass
class SendReport:
    """What became of all files, in the order in which it was known.

    Attributes:
        error: why an association ended early; None when none did.
        associations: how many carried instances, or were opened to.
    """

    results: list[ItemResult] = field(default_factory=list)
    error: NetworkError | None = None
    seconds: float = 0.0
    bytes_sent: int = 0
    associations: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome is outcome for result in self.results)

    @property
    def is_complete(self) -> bool:
        """True when every file is stored."""
        return all(result.outcome is Outcome.STORED for result in self.results)


def reporting(on_result: OnResult | None) -> tuple[SendReport, OnResult]:
    """An empty report, and whom to tell each result: it is kept there, and told on."""
    report = SendReport()

    def tell(result: ItemResult) -> None:
        report.results.append(result)
        if on_result is not None:
            on_result(result)

    return report, tell


def answered(item: SendItem, answer: Command, note: str) -> ItemResult:
    """What the peer's answer means for an instance; ``note`` comes before what it says."""
    texts = [note, meaning_of(answer.status), answer.comment]
    outcome = Outcome.STORED if _is_stored(answer.status) else Outcome.FAILED
    joined = "; ".join(text for text in texts if text)
    return ItemResult(item.path, outcome, answer.status, joined, item.sop_instance_uid)


def failed(item: SendItem, status: int | None, note: str) -> ItemResult:
    """An instance that cannot be sent, whoever carries it."""
    return ItemResult(item.path, Outcome.FAILED, status, note, item.sop_instance_uid)


def not_sent(item: SendItem, reason: object) -> ItemResult:
    """An instance that the peer has not, or has without having said so."""
    note = f"not sent or not answered: {reason}"
    return ItemResult(item.path, Outcome.NOT_SENT, None, note, item.sop_instance_uid)


def _is_stored(status: int) -> bool:
    """Success and warnings: the peer has the instance (PS3.4 B.2.3, PS3.7 C)."""
    return status in (SUCCESS, 0x0001, 0x0107, 0x0116) or status >> 12 == 0xB


def meaning_of(status: int) -> str:
    """A C-STORE status or Failure Reason in words; empty for success."""
    known = {
        0x0000: "",
        0xB000: "stored, the peer coerced data elements",
        0xB006: "stored, the peer discarded elements",
        0xB007: "stored, the peer says the data set does not match the SOP class",
        0x0122: "SOP class not supported",
        0x0124: "refused: not authorised",
        0x0211: "unrecognised operation",
        0x0110: "processing failure",
    }
    if status in known:
        return known[status]
    if status >> 8 == 0xA7:
        return "out of resources"
    if status >> 8 == 0xA9:
        return "data set does not match SOP class"
    if status >> 12 == 0xC:
        return "cannot understand"
    return f"{'warning' if _is_stored(status) else 'failure'} {status:04X}H"
