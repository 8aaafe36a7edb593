"""Our own addresses, as a client sees them."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest

ROOT = "/dicom-web"


def base_url(request: HttpRequest) -> str:
    """``https://host:port/dicom-web``: under the public address for those who come by it."""
    public = settings.ISOCENTER.web.public_url
    if public is not None:
        is_by_proxy = "X-Forwarded-For" in request.headers
        if is_by_proxy or request.get_host().rpartition(":")[0] == public.host:
            port = "" if public.port in (None, 443, 80) else f":{public.port}"
            return f"{public.scheme}://{public.host}{port}{ROOT}"
    return f"{request.scheme}://{request.get_host()}{ROOT}"


def place_of(base: str, study_uid: str, series_uid: str = "", sop_uid: str = "") -> str:
    """The address of a study, series or instance."""
    place = f"{base}/studies/{_part(study_uid)}"
    if series_uid:
        place += f"/series/{_part(series_uid)}"
    if sop_uid:
        place += f"/instances/{_part(sop_uid)}"
    return place


def _part(uid: str) -> str:
    return uid if uid.replace(".", "").isalnum() and uid.isascii() else quote(uid, safe="")
