"""Makes studies searchable that were here before their rows of the search table.

A release that adds the table, or changes what its rows hold, fills it in the background: workers
do it some thousand studies at a time, the newest first, and go on where they were after a restart
(folding is ours, so SQL alone cannot do it). New studies get their rows as they come. Until all
is done, questions that need the table are told so, instead of being answered with gaps.
"""

from __future__ import annotations

import time

from django.db import transaction

from isocenter.apps.archive import rows
from isocenter.apps.archive.models import SearchFilling, Study
from isocenter.apps.archive.search.question import IndexNotReady
from isocenter.apps.archive.search.search_rows import VERSION, rows_of, write

AT_ONCE = 500  # studies in one transaction
_BY_THE_WAY = 2_000  # so few are filled by whoever asks
_ROUND_S = 2.0


def fill_search(seconds: float = _ROUND_S) -> int:
    """Fill rows for some time; how many studies were looked at. Several may do it at once."""
    until = time.monotonic() + seconds
    done = 0
    while True:
        filled = _fill_some()
        done += filled
        if not filled or time.monotonic() > until:
            return done


def require_filled() -> None:
    """Have every study in the search table, or say that it takes longer.

    Raises:
        IndexNotReady: there are more than can be done meanwhile.
    """
    missing = studies_to_fill()
    if missing > _BY_THE_WAY:
        raise IndexNotReady(
            f"the search index is being built: about {missing} studies to go",
            hint="ask again later; the platform builds it while it runs",
        )
    while missing and _fill_some():
        pass


def studies_to_fill() -> int:
    """How many studies may lack their rows; of more than some thousand about how many."""
    row = _state()
    if not row.next_study:
        return 0
    older = Study.objects.filter(pk__lte=row.next_study)
    exactly = older.order_by()[: _BY_THE_WAY + 1].count()
    return exactly if exactly <= _BY_THE_WAY else max(exactly, row.next_study)


def _state() -> SearchFilling:
    row = SearchFilling.objects.filter(version=VERSION).first()
    if row is None:
        newest = Study.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        row, _ = SearchFilling.objects.get_or_create(
            version=VERSION, defaults={"next_study": newest}
        )
    return row


def _fill_some() -> int:
    if not _state().next_study:
        return 0
    with transaction.atomic():
        # One after the other: who comes second sees how far the first was.
        row = SearchFilling.objects.select_for_update().get(version=VERSION)
        chosen = list(
            Study.objects.filter(pk__lte=row.next_study)
            .order_by("-pk")
            .values_list("pk", "study_uid")[:AT_ONCE]
        )
        rows.lock_studies([uid for _, uid in chosen])
        # Read only now: the ingest has let go of them.
        write(rows_of(list(Study.objects.filter(pk__in=[number for number, _ in chosen]))))
        row.next_study = chosen[-1][0] - 1 if len(chosen) == AT_ONCE else 0
        row.save(update_fields=["next_study"])
    return len(chosen)
