"""Our own addresses, as a client sees them."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest

ROOT = "/dicom-web"
_OF_PROXIES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via")


def base_url(request: HttpRequest) -> str:
    """``https://host:port/dicom-web``: under the public address for those who come by it."""
    is_by_proxy = any(name in request.headers for name in _OF_PROXIES)
    public = settings.ISOCENTER.web.public_url
    if public is not None and (is_by_proxy or _name_in(request.get_host()) == public.host):
        port = "" if public.port in (None, 443, 80) else f":{public.port}"
        return f"{public.scheme}://{public.host}{port}{ROOT}"
    host = request.get_host()
    port = request.META.get("SERVER_PORT", "")
    # dicomweb-client leaves the port out of its Host.
    if _name_in(host) == host and port not in ("", "80", "443") and not is_by_proxy:
        host = f"{host}:{port}"
    return f"{request.scheme}://{host}{ROOT}"


def _name_in(host: str) -> str:
    """A host without its port; in brackets where it is an address of IPv6."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def place_of(base: str, study_uid: str, series_uid: str = "", sop_uid: str = "") -> str:
    """The address of a study, series or instance."""
    place = f"{base}/studies/{_part(study_uid)}"
    if series_uid:
        place += f"/series/{_part(series_uid)}"
    return instance_of(place, sop_uid) if sop_uid else place


def instance_of(series_place: str, sop_uid: str) -> str:
    """The address of an instance, from that of its series."""
    return f"{series_place}/instances/{_part(sop_uid)}"


def _part(uid: str) -> str:
    return uid if uid.replace(".", "").isalnum() and uid.isascii() else quote(uid, safe="")
