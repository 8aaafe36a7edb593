"""What this service can do (PS3.18 8.9): as JSON, or as WADL for programs that read that."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from django.http import HttpRequest, HttpResponse

from isocenter import __version__
from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.accept import PLAIN_JSON, Offer, chosen_of
from isocenter.apps.dicomweb.addresses import base_url
from isocenter.apps.dicomweb.guard import by_method, needs

_WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"
OFFERED = (Offer(PLAIN_JSON), Offer(_WADL), Offer("application/xml"), Offer("text/xml"))

_STUDY, _SERIES = "/studies/{study}", "/studies/{study}/series/{series}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_FRAMES = f"{_INSTANCE}/frames/{{frames}}"
_DATA_SETS = (
    "application/dicom+json",
    "application/json",
    'multipart/related; type="application/dicom+xml"',
)
_FILES = (
    'multipart/related; type="application/dicom"',
    "application/zip",
    'multipart/related; type="application/octet-stream"',
)
_ONE_FILE = (_FILES[0], "application/dicom", _FILES[2])
_PIXELS = (
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="image/*"',
)
_PICTURES = ("image/jpeg", "image/png", "image/gif")
_PICTURE_PARAMETERS = ("window", "viewport", "quality", "annotation", "iccprofile")
_SEARCH_PARAMETERS = ("limit", "offset", "fuzzymatching", "includefield", "{attribute}")

Row = tuple[str, str, str, tuple[str, ...], tuple[str, ...]]

#: Method, address, what it does, forms of the answer (of POST: of the body), parameters.
RESOURCES: tuple[Row, ...] = (
    *(
        ("GET", place, f"search for {what}", _DATA_SETS, _SEARCH_PARAMETERS)
        for place, what in (
            ("/studies", "studies"),
            ("/series", "series"),
            ("/instances", "instances"),
            (f"{_STUDY}/series", "series"),
            (f"{_STUDY}/instances", "instances"),
            (f"{_SERIES}/instances", "instances"),
        )
    ),
    ("GET", _STUDY, "retrieve", _FILES, ()),
    ("GET", _SERIES, "retrieve", _FILES, ()),
    ("GET", _INSTANCE, "retrieve", _ONE_FILE, ()),
    *(
        ("GET", f"{place}/metadata", "retrieve metadata", _DATA_SETS, ())
        for place in (_STUDY, _SERIES, _INSTANCE)
    ),
    ("GET", f"{_INSTANCE}/bulkdata/{{place}}", "retrieve bulk data", _PIXELS, ()),
    ("GET", _FRAMES, "retrieve frames", _PIXELS, ()),
    *(
        ("GET", f"{place}/{what}", f"retrieve {what}", _PICTURES, _PICTURE_PARAMETERS)
        for place in (_STUDY, _SERIES, _INSTANCE, _FRAMES)
        for what in ("rendered", "thumbnail")
    ),
    *(
        (
            "POST",
            place,
            "store",
            (_FILES[0], 'multipart/related; type="application/dicom+json"'),
            (),
        )
        for place in ("/studies", _STUDY)
    ),
    *(("DELETE", place, "delete", (), ()) for place in (_STUDY, _SERIES, _INSTANCE)),
    *(
        ("POST", f"{place}/reject/{{code}}", "move into quarantine", (), ())
        for place in (_STUDY, _SERIES, _INSTANCE)
    ),
)


@needs(Right.VIEW)
def _capabilities(request: HttpRequest) -> HttpResponse:
    chosen = chosen_of(request.headers.get("Accept"), request.GET.get("accept"), OFFERED)
    if chosen.media_type == PLAIN_JSON:
        response = HttpResponse(_as_json(base_url(request)), content_type=PLAIN_JSON)
    else:
        response = HttpResponse(_as_wadl(base_url(request)), content_type=chosen.media_type)
    response.headers["Allow"] = "GET, HEAD, OPTIONS"
    response.headers["Vary"] = "Accept"
    return response


capabilities = by_method(GET=_capabilities, OPTIONS=_capabilities)


def _as_json(base: str) -> bytes:
    import json

    from isocenter.apps.archive.queries import SEARCHABLE, Matching

    searchable = {
        str(level): [
            {"keyword": each.keyword, "tag": f"{each.tag:08X}", "vr": each.vr}
            for each in table.values()
            if Matching.NONE not in each.matching
        ]
        for level, table in SEARCHABLE.items()
    }
    resources: list[dict[str, Any]] = [
        {
            "method": method,
            "path": path,
            "does": does,
            "media_types": list(forms),
            "parameters": list(parameters),
        }
        for method, path, does, forms, parameters in RESOURCES
    ]
    said = {
        "product": "Isocenter",
        "version": __version__,
        "base": base,
        "resources": resources,
        "searchable": searchable,
    }
    return json.dumps(said, indent=1).encode()


def _as_wadl(base: str) -> bytes:
    """Web Application Description Language, as PS3.18 8.9.3 and annex H have it."""
    root = ET.Element("application", xmlns=_NAMESPACE)
    resources = ET.SubElement(root, "resources", base=base)
    places: dict[str, ET.Element] = {}
    for number, (method, path, _, forms, parameters) in enumerate(RESOURCES):
        place = places.get(path)
        if place is None:
            place = places[path] = ET.SubElement(resources, "resource", path=path.lstrip("/"))
            for name in (part.strip("{}") for part in path.split("/") if part.startswith("{")):
                ET.SubElement(place, "param", name=name, style="template", required="true")
        _method(
            ET.SubElement(place, "method", name=method, id=f"method-{number}"),
            forms,
            parameters,
        )
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8")


def _method(element: ET.Element, forms: tuple[str, ...], parameters: tuple[str, ...]) -> None:
    request = ET.SubElement(element, "request")
    for name in parameters:
        ET.SubElement(request, "param", name=name, style="query")
    is_store = element.get("name") == "POST"
    target = request if is_store else ET.SubElement(element, "response", status="200")
    for form in forms:
        ET.SubElement(target, "representation", mediaType=form)
