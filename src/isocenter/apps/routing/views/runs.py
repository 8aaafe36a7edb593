"""Runs: the list, and the page of one, which shows it while it happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.audit.services import record_view
from isocenter.apps.routing import queries, run_page, runs_list, services
from isocenter.apps.routing.forms import RunFilterForm
from isocenter.apps.routing.models import Run, RunStep
from isocenter.apps.routing.step_execution import log_tail
from isocenter.apps.routing.views.answers import page_of, tell
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.runtime.web.paging import is_part, with_query


@needs(Right.VIEW)
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Runs that match the filter in the address, the newest first."""
    form = RunFilterForm(request.GET)
    wanted = form.wanted()
    found = runs_list.run_slice(wanted, request.GET.get("page", ""))
    context = {
        "form": form,
        "rows": runs_list.run_rows(found),
        "page": page_of(request, found),
        "is_filtered": not wanted.is_empty,
        "part_url": with_query(request, part="1"),
    }
    return render(request, f"routing/{'_runs' if is_part(request) else 'runs'}.html", context)


@needs(Right.VIEW)
@require_safe
def run(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """One run; with ``part`` what can change, where it did."""
    row = queries.run(run_id)
    live = run_page.live(row)
    digest = run_page.digest_of(live)
    context = {"run": row, "study": row.study, "live": live, "digest": digest}
    if is_part(request):
        if request.GET.get("have") == digest:
            return HttpResponse(status=204)
        return render(request, "routing/_run.html", context)
    record_view(principal_of(request), row.study.study_uid, "run")
    asked = request.GET.get("step", "")
    index = int(asked) if asked.isascii() and asked.isdigit() else run_page.current_step(row)
    step = row.steps.filter(index=min(index, 1 << 30)).first()
    return render(request, "routing/run.html", context | _panel(row, step))


@needs(Right.VIEW)
@require_safe
def run_step(request: HttpRequest, run_id: uuid.UUID, index: int) -> HttpResponse:
    """What went into a step, what came out, and what it printed."""
    if not is_part(request):  # opened by itself: on the run's page
        return redirect(f"{reverse('run', args=[run_id])}?step={index}")
    row = queries.run(run_id)
    context = {"run": row, "study": row.study, **_panel(row, _step(row, index))}
    return render(request, "routing/_step.html", context)


@needs(Right.VIEW)
@require_safe
def run_step_log(request: HttpRequest, run_id: uuid.UUID, index: int) -> HttpResponse:
    """The end of what a step printed."""
    row = queries.run(run_id)
    return render(request, "routing/_log.html", {"run": row, **_log(_step(row, index))})


@needs(Right.RUN)
@require_POST
def run_cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Stop a run and what it has not sent yet."""
    return _act(
        request,
        run_id,
        lambda actor: services.cancel_run(run_id, actor=actor),
        "It stops; what is running ends within a second.",
    )


@needs(Right.RUN)
@require_POST
def run_retry(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Do it again from where it failed, or from a step that is named."""
    step = request.POST.get("from_step", "")[:64] or None

    def retry(actor: str) -> None:
        services.require_repeat(principal_of(request), queries.run(run_id))
        services.retry_run(run_id, from_step=step, actor=actor)

    return _act(
        request,
        run_id,
        retry,
        "It is queued again. What earlier steps made is kept.",
    )


@needs(Right.RUN)
@require_POST
def run_again(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Start the same anew on the newest revision of the study."""
    try:
        services.require_again(principal_of(request), queries.run(run_id))
        started = services.rerun(run_id, actor=principal_of(request).name)
    except IsocenterError as error:
        tell(request, error)
        return redirect("run", run_id=run_id)
    messages.success(request, "This is the new run.")
    return redirect("run", run_id=started.pk)


@needs(Right.RUN)
@require_POST
def run_priority(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Have it come earlier or later."""
    text = request.POST.get("priority", "").strip()
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        messages.error(request, "A priority is a whole number from -1000 to 1000.")
        return redirect("run", run_id=run_id)
    priority = max(-1000, min(1000, int(text[:6])))
    return _act(
        request,
        run_id,
        lambda actor: services.prioritise(run_id, priority, actor=actor),
        f"Its priority is {priority} now.",
    )


@needs(Right.RUN)
@require_POST
def run_delivery_retry(request: HttpRequest, run_id: uuid.UUID, delivery_id: int) -> HttpResponse:
    """Send again what a node has not got."""
    row = queries.run(run_id)
    delivery = row.deliveries.filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFound(f"run {run_id} has no delivery {delivery_id}")

    def retry(actor: str) -> None:
        services.require_repeat(principal_of(request), row, delivery)
        services.retry_delivery(delivery, actor=actor)

    return _act(
        request,
        run_id,
        retry,
        f"What {delivery.node_name} has not got is sent again.",
    )


def _act(
    request: HttpRequest, run_id: uuid.UUID, act: Callable[[str], Any], done: str
) -> HttpResponse:
    """Do it, and go back to the run's page with what came of it."""
    try:
        act(principal_of(request).name)
    except IsocenterError as error:
        tell(request, error)
    else:
        messages.success(request, done)
    return redirect("run", run_id=run_id)


def _step(row: Run, index: int) -> RunStep:
    found = row.steps.filter(index=index).first()
    if found is None:
        raise NotFound(f"run {row.pk} has no step {index}")
    return found


def _panel(row: Run, step: RunStep | None) -> dict[str, Any]:
    if step is None:
        return {"step": None}
    return {"step": run_page.step_detail(step), **_log(step)}


def _log(step: RunStep) -> dict[str, Any]:
    text, left_out = log_tail(step)
    return {
        "log": text,
        "log_left_out": left_out,
        "log_is_live": step.state == RunStep.State.RUNNING,
        "log_url": reverse("run-step-log", args=[step.run_id, step.index]),
    }
