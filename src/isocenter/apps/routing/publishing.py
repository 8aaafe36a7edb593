"""Putting what a run made into the archive, so that it is seen and kept like what was received."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from isocenter.apps.archive import services as archive
from isocenter.apps.routing import artifacts
from isocenter.apps.routing.leases import Lease
from isocenter.apps.routing.models import Artifact, Run


def publish(run: Run, lease: Lease) -> None:
    """Store the run's DICOM outputs that are not in the archive yet. Twice does no harm.

    What was de-identified is not: it would stand beside the study that it must not be known by.
    """
    waiting = list(
        artifacts.outputs_of(run)
        .filter(published_at__isnull=True, domain="")
        .exclude(Q(sop_uid=""))
    )
    if not waiting:
        return
    files = [archive.DerivedFile(artifacts.absolute(item), item.sop_uid) for item in waiting]
    archive.store_derived(files, run.study)
    with lease.guard():
        Artifact.objects.filter(pk__in=[item.pk for item in waiting]).update(
            published_at=timezone.now()
        )
