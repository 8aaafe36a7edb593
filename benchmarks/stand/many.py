"""Searches of an index of 10 000 and of 1 000 000 studies, over the wire: QIDO-RS and C-FIND."""

from __future__ import annotations

import random
import sys
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from . import million
from .serving import CALLER, TIMEOUT_S, ServingIsocenter, Web
from .sizes import FilledIsocenter, Times, print_times

JSON = "application/dicom+json"
_PENDING = (0xFF00, 0xFF01)
_ENDS = (0x0000, 0xFE00)
_LIMIT = 100  # of a page of QIDO-RS; a search with fewer has as many in the small index
_FIRST = 25  # C-FIND has no pages: answers that are waited for where there are many, then C-CANCEL


@dataclass(frozen=True)
class Search:
    """A kind of search, by keyword; it has about as many answers at every size."""

    name: str
    is_for_find: bool = True
    limit: int = _LIMIT

    def keys(self, chance: random.Random, count: int) -> dict[str, str]:
        if self.name == "all studies":
            return {}
        if self.name == "patient ID":
            return {"PatientID": f"P{chance.randint(1, count // 2):07d}"}
        if self.name == "accession number":
            return {"AccessionNumber": f"A{chance.randint(1, count):08d}"}
        if self.name == "study UID":
            return {"StudyInstanceUID": f"{million.ROOT}{chance.randint(1, count)}"}
        if self.name == "patient name":
            number = chance.randint(1, count)  # of a study that is there
            family, given, last = million.name_of(number)
            return {"PatientName": f"{family[:5]}*^{given}^{last}"}
        year, month = chance.randint(2016, 2025), chance.randint(1, 12)
        last = 28 if self.name == "month" else 7
        return {"StudyDate": f"{year}{month:02d}01-{year}{month:02d}{last:02d}"}


SEARCHES = (
    Search("all studies", is_for_find=False),
    Search("patient ID"),
    Search("accession number"),
    Search("study UID"),
    Search("patient name"),
    Search("week", is_for_find=False, limit=10),
    Search("month", limit=50),
)


class Stand(FilledIsocenter, ServingIsocenter):
    """A platform with many studies, and what asks it."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, count)
        self._association: Association | None = None
        self._web: Web | None = None

    def connect(self) -> None:
        """The association and the connection stay: what is measured is the search."""
        self._web = self._web or self.web()
        if self._association is not None and self._association.is_established:
            return
        ae = AE(CALLER)
        ae.dimse_timeout = ae.network_timeout = TIMEOUT_S
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
        self._association = ae.associate("127.0.0.1", self.port, ae_title=self.called_ae_title)
        if not self._association.is_established:
            raise RuntimeError("no association")

    def stop(self) -> None:
        if self._association is not None and self._association.is_established:
            self._association.release()
        super().stop()

    def by_qido(self, keys: Mapping[str, str], limit: int) -> float:
        assert self._web is not None
        asked = urllib.parse.urlencode({**keys, "limit": str(limit)})
        answer = self._web.get(f"/dicom-web/studies?{asked}", JSON)
        if answer.status not in (200, 204):
            raise RuntimeError(f"QIDO-RS answered {answer.status}: {answer.content[:300]!r}")
        return answer.seconds

    def by_find(self, keys: Mapping[str, str]) -> float:
        """Seconds until all answers are here, or the first of many."""
        assert self._association is not None
        identifier = Dataset()
        identifier.SpecificCharacterSet = "ISO_IR 192"
        identifier.QueryRetrieveLevel = "STUDY"
        for keyword in ("StudyInstanceUID", "PatientName", "StudyDate", *keys):
            setattr(identifier, keyword, keys.get(keyword, ""))
        model, statuses = StudyRootQueryRetrieveInformationModelFind, []
        began, took = time.perf_counter(), 0.0
        for status, _ in self._association.send_c_find(identifier, model, msg_id=1):
            statuses.append(status.get("Status", -1))
            if len(statuses) == _FIRST:
                took = time.perf_counter() - began
                self._association.send_c_cancel(1, query_model=model)
        took = took or time.perf_counter() - began
        if statuses[-1] not in _ENDS or any(each not in _PENDING for each in statuses[:-1]):
            raise RuntimeError(f"C-FIND answered {[hex(each) for each in statuses[-3:]]}")
        return took


def measure(workspace: Path, *, small: int, large: int, requests: int, seed: random.Random) -> bool:
    """Print the table; True when every p95 is where it shall be."""
    stands = []
    try:
        for count in (small, large):
            stands.append(Stand(workspace / f"with-{count}", count))
            stands[-1].start()
            stands[-1].fill()
            stands[-1].connect()
        times = ask(stands, requests, seed)
    finally:
        for stand in stands:
            stand.stop()
    return print_times("Milliseconds per search", "search", times, small, large)


def ask(stands: list[Stand], requests: int, seed: random.Random) -> Times:
    """Milliseconds by (service and search, studies); small and large in turn."""
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    for search in SEARCHES:
        for stand in stands:
            stand.connect()  # an association that nobody uses is ended
        for number in range(-3, requests):  # the first are to get warm
            for stand in stands if number % 2 else stands[::-1]:
                keys = search.keys(seed, stand.count)
                took = {"QIDO-RS": stand.by_qido(keys, search.limit)}
                if search.is_for_find:
                    took["C-FIND"] = stand.by_find(keys)
                if number >= 0:
                    for service, seconds in took.items():
                        times[f"{service}: {search.name}", stand.count].append(1000 * seconds)
        print(f"{search.name}: {requests} times", file=sys.stderr)
    return times
