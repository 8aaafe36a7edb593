"""The uploads page and what it calls; thin."""

from __future__ import annotations

import uuid
from typing import BinaryIO, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import services
from isocenter.apps.archive import uploads as taking
from isocenter.apps.archive.models import Study
from isocenter.core.dicom.person_names import person_name
from isocenter.core.errors import SpoolError
from isocenter.runtime.web.bodies import longest_upload

_MOST_ASKED = 100
_MOST_BATCH = 64


@needs(Right.UPLOAD)
@require_safe
def uploads(request: HttpRequest) -> HttpResponse:
    """Where files, folders and ZIPs are dropped."""
    context = {
        "batch": uuid.uuid4().hex,
        "max_bytes": longest_upload(),
        "into": request.GET.get("study", "")[:255],
        "pause": taking.pause(),
    }
    return render(request, "archive/uploads.html", context)


@needs(Right.UPLOAD)
@require_POST
def upload_files(request: HttpRequest) -> JsonResponse:
    """Take one file, or several small ones; 503 when nothing is taken in now."""
    files, names = request.FILES.getlist("file"), request.POST.getlist("path")
    if not files:
        return JsonResponse({"error": "no file came", "hint": "send it as `file`"}, status=400)
    items = []
    try:
        for number, file in enumerate(files):
            upload = services.take_upload(
                cast(BinaryIO, file),  # Django's files are streams in all but name
                names[number] if number < len(names) else file.name or "",
                actor=principal_of(request).name,
                batch=request.POST.get("batch", "")[:_MOST_BATCH],
            )
            items.append(upload.as_json())
    except SpoolError as error:
        return JsonResponse({"error": str(error.args[0]), "hint": error.hint}, status=503)
    return JsonResponse({"items": items})


@needs(Right.UPLOAD)
@require_safe
def uploaded_studies(request: HttpRequest) -> JsonResponse:
    """Which of these studies are in the index by now, and what may be said of them."""
    asked = request.GET.getlist("uid")[:_MOST_ASKED]
    principal = principal_of(request)
    may_view = principal.may(Right.VIEW)
    identified = may_view and principal.may(Right.VIEW_IDENTIFIED)
    rows = Study.objects.filter(study_uid__in=asked)
    found = [
        {
            "study_uid": row.study_uid,
            "state": str(row.state),
            "instances": row.instance_count,
            "description": row.study_description if may_view else "",
            "patient": person_name(row.patient_name) if identified else "",
            "url": reverse("study", args=[row.study_uid]) if may_view else "",
        }
        for row in rows
    ]
    return JsonResponse({"studies": found})
