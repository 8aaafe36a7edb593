"""Background work of the archive: the completion tick, and asking source nodes for counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from isocenter.apps.archive import facts, rows, thumbnails
from isocenter.apps.archive.completion import Outcome, Plan, Rule, SourceCount, Waiter, plan
from isocenter.apps.archive.metadata import building as metadata_building
from isocenter.apps.archive.models import Revision, Source, Study
from isocenter.apps.archive.revisions import ensure_revision
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.runtime.queue import MAINTENANCE, THUMBNAILS, app

log = structlog.get_logger(__name__)

_AT_ONCE = 200
_RETRY_AFTER_S = 30.0
_ASK_AGAIN_AFTER_S = 60.0


def tick(now: datetime) -> int:
    """Look at the studies whose time has come.

    Args:
        now: the time up to which everything that was received is indexed; never later.

    Returns:
        how many were looked at.
    """
    due = Study.objects.filter(due_at__lte=now).order_by("due_at")
    uids = list(due.values_list("study_uid", flat=True)[:_AT_ONCE])
    if not uids:
        return 0
    overrides = _overrides()
    for uid in uids:
        try:
            with transaction.atomic():
                look_at(uid, now, overrides)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # One study that makes trouble must not keep the others from completing.
            log.exception("completion_failed", study_uid=uid)
            again = now + timedelta(seconds=_RETRY_AFTER_S)
            Study.objects.filter(study_uid=uid).update(due_at=again)
    return len(uids)


def _overrides() -> dict[int, tuple[str, dict[str, Any]]]:
    """Per enabled route: its name and what its own completion rule says."""
    from isocenter.apps.routing.queries import completion_rules

    return {
        route_id: (name, rule.model_dump(exclude_none=True))
        for route_id, name, rule in completion_rules()
    }


def look_at(
    study_uid: str, now: datetime, overrides: Mapping[int, tuple[str, dict[str, Any]]]
) -> None:
    """Decide on one study, in the caller's transaction."""
    rows.lock_studies([study_uid])
    study = Study.objects.select_related("source").get(study_uid=study_uid)
    if study.due_at is None or study.due_at > now:
        return
    naming = facts.referring(study)
    awaited = _awaited(study)
    waiters = _waiters(study, overrides, awaited)
    decided = plan(facts.content(study, naming=naming, source=_source_count(study)), waiters, now)
    was_held = study.state == Study.State.HELD
    was_coming_in = study.state == Study.State.RECEIVING
    study.state = decided.state
    study.waiting_for = list(decided.waiting_for)
    study.due_at = decided.due_at
    if decided.wants_count:
        _ask_for_count(study, now)
    if decided.content:
        study.warnings = facts.dangling_references(naming)
        own = {waiter.key for waiter in waiters}
        _complete(study, decided, now, [key for key in overrides if key not in own])
    study.save()
    if study.state == Study.State.HELD and not was_held:
        record(Kind.STUDY_HELD, study_uid=study_uid, waiting_for=study.waiting_for)
    if was_coming_in and study.state != Study.State.RECEIVING:
        thumbnails.want(study_uid)
        metadata_building.want(study_uid)


def _waiters(
    study: Study,
    overrides: Mapping[int, tuple[str, dict[str, Any]]],
    awaited: Mapping[int, Sequence[str]],
) -> list[Waiter]:
    """The default rule, and each route that has a rule of its own or lacks a modality."""
    rule = default_rule(study)
    keys = [key for key, (_, own) in overrides.items() if own or key in awaited]
    settled = _evaluated(study, keys)
    routes = [
        Waiter(
            key,
            rule.overridden(overrides[key][1]),
            settled.get(key, 0),
            overrides[key][0],
            tuple(awaited.get(key, ())),
        )
        for key in keys
    ]
    return [Waiter(None, rule, study.complete_revision), *routes]


def default_rule(study: Study) -> Rule:
    """The platform's rule, with what is set for the study's source."""
    completion = settings.ISOCENTER.completion
    rule = Rule(
        debounce_s=completion.debounce_s,
        min_instances=completion.min_instances,
        force_complete_s=completion.force_complete_s,
        on_timeout=completion.on_timeout,
    )
    exception = completion.sources.get(study.source.calling_ae_title) if study.source else None
    return rule.overridden(exception.model_dump()) if exception else rule


def _evaluated(study: Study, routes: Sequence[int]) -> dict[int, int]:
    from isocenter.apps.routing.queries import evaluated_revisions

    return evaluated_revisions(study, routes) if routes else {}


def _awaited(study: Study) -> dict[int, list[str]]:
    from isocenter.apps.routing.queries import awaited_modalities

    return awaited_modalities(facts.study_facts(study))


def _source_node(study: Study) -> Any:
    """The node that sent the study, where it can be asked for counts; else None."""
    from isocenter.apps.transfers.queries import node_for_source

    source = study.source
    if source is None or source.kind != Source.Kind.DIMSE:
        return None
    node = node_for_source(source)
    return node if node is not None and node.can_query and node.enabled else None


def _source_count(study: Study) -> SourceCount | None:
    node = _source_node(study)
    if node is None:
        return None
    counted = study.remote_instances
    if counted is not None:
        from isocenter.apps.routing.queries import delivered_to

        # What we made and sent there is in its count, and was never to come from there.
        counted -= delivered_to(node.name, study)
    return SourceCount(node.name, counted, study.remote_checked_at)


def _ask_for_count(study: Study, now: datetime) -> None:
    asked = study.remote_asked_at
    is_open = asked is not None and asked >= study.last_received_at
    if is_open and asked is not None and now - asked < timedelta(seconds=_ASK_AGAIN_AFTER_S):
        return
    study.remote_asked_at = now
    count_source.defer(study_uid=study.study_uid)


def _complete(study: Study, decided: Plan, now: datetime, default_routes: list[int]) -> None:
    """Make the revision, and have the routes of those who are content evaluated on it."""
    from isocenter.apps.routing.services import evaluate

    forced = decided.reason is Outcome.FORCED
    reason = Revision.Reason.FORCED if forced else Revision.Reason.COMPLETE
    revision, is_new = ensure_revision(study, reason, decided.missing)
    if revision is None:
        return
    routes = [key for key in decided.content if key is not None]
    if None in decided.content:
        study.complete_revision = revision.number
        study.complete_at = now
        routes = [*default_routes, *routes]
    if is_new or None in decided.content:
        record(
            Kind.STUDY_FORCED if forced else Kind.STUDY_COMPLETE,
            study_uid=study.study_uid,
            revision=revision.number,
            instances=revision.instance_count,
            missing=list(decided.missing),
        )
    study.save()
    evaluate(revision, routes=routes)


@app.task(queue=MAINTENANCE, name="archive.count_source")
def count_source(study_uid: str) -> None:
    """Ask the node that sent a study how many instances it has."""
    from isocenter.apps.transfers.queries import peer_of
    from isocenter.core.errors import NetworkError
    from isocenter.core.network.query import count_study

    study = Study.objects.select_related("source").filter(study_uid=study_uid).first()
    node = _source_node(study) if study else None
    if node is None:
        return
    counted: int | None = None
    try:
        peer = peer_of(node)
        counted = count_study(peer, study_uid, timeout_s=peer.timeout_s)
    except NetworkError as error:
        log.warning("source_not_asked", node=node.name, study_uid=study_uid, reason=str(error))
    answered(study_uid, node.name, counted)


@app.task(queue=THUMBNAILS, name="archive.render_thumbnails")
def render_thumbnails(study_uid: str) -> None:
    """Render the thumbnails that a study lacks."""
    from isocenter.apps.archive.thumbnail_rendering import render

    render(study_uid)


@app.task(queue=THUMBNAILS, name="archive.build_metadata")
def build_metadata(study_uid: str) -> None:
    """Make the metadata documents that a study lacks."""
    metadata_building.build_study(study_uid)


def answered(study_uid: str, node_name: str, counted: int | None) -> None:
    """Write down what the source node said, and have completion look at the study again."""
    with transaction.atomic():
        rows.lock_studies([study_uid])
        study = Study.objects.get(study_uid=study_uid)
        now = timezone.now()
        study.remote_node = node_name
        study.remote_instances = counted
        study.remote_checked_at = now
        if study.due_at is not None:
            study.due_at = min(study.due_at, now)
        study.save(update_fields=["remote_node", "remote_instances", "remote_checked_at", "due_at"])
