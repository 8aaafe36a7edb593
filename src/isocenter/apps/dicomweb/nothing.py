"""What is answered where there is nothing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isocenter.apps.dicomweb.errors import problem
from isocenter.apps.dicomweb.guard import public


@public
def nothing(request: HttpRequest, path: str = "") -> HttpResponse:
    """404: DICOMweb has no such address."""
    return problem(404, "DICOMweb has no such address here", "/dicom-web/ says what there is")
