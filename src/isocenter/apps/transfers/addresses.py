"""Addresses of hosts. A name server that is slow or away holds nobody up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isocenter.core.network.callers import plain_address

_KEEP_S = 60.0
_MAX_ASKING = 16


@dataclass
class _Known:
    addresses: frozenset[str] = frozenset()
    at: float = float("-inf")
    is_asked: bool = False
    answered: threading.Event = field(default_factory=threading.Event)


class AddressBook:
    """What names stand for, looked up beside the caller and kept for a minute.

    Where a name server says nothing, what it said last stays.
    """

    def __init__(self, *, keep_s: float = _KEEP_S) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._asking = 0

    def addresses(self, hosts: Iterable[str], within_s: float) -> Mapping[str, frozenset[str]]:
        """The addresses of hosts; none for those that are not known so soon.

        Args:
            within_s: longest wait for all of them together.
        """
        found: dict[str, frozenset[str]] = {}
        waiting: dict[str, _Known] = {}
        for host in set(hosts):
            if (literal := _literal(host)) is not None:
                found[host] = frozenset({literal})
            else:
                waiting[host] = self._ask(host)
        deadline = time.monotonic() + within_s
        for host, known in waiting.items():
            if not known.addresses:
                known.answered.wait(max(0.0, deadline - time.monotonic()))
            found[host] = known.addresses
        return found

    def _ask(self, host: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(host, _Known())
            is_old = time.monotonic() - known.at >= self._keep_s
            if not is_old or known.is_asked or self._asking >= _MAX_ASKING:
                return known
            known.is_asked = True
            known.answered.clear()
            self._asking += 1
        # Resolvers take no time-out; a thread that hangs in one is left behind.
        threading.Thread(target=self._look_up, args=(host, known), daemon=True).start()
        return known

    def _look_up(self, host: str, known: _Known) -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = frozenset(plain_address(str(answer[4][0])) for answer in answers)
        except (OSError, UnicodeError):
            addresses = frozenset()
        with self._lock:
            known.addresses = addresses or known.addresses
            known.at = time.monotonic()
            known.is_asked = False
            self._asking -= 1
        known.answered.set()


def _literal(host: str) -> str | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return plain_address(host)
    return None


book = AddressBook()
