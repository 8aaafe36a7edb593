"""WADO-URI: one instance by a query (PS3.18 9), for viewers of that age."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.dicomweb.accept import DICOM, Chosen, Offer
from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.apps.dicomweb.guard import needs, require
from isocenter.apps.dicomweb.qido_parameters import shown
from isocenter.apps.dicomweb.retrieve import by_itself
from isocenter.apps.dicomweb.syntaxes import outgoing

UIDS = ("studyUID", "seriesUID", "objectUID")
_OF_PICTURES = (
    *("frameNumber", "rows", "columns", "region", "windowCenter", "windowWidth"),
    *("imageQuality", "annotation", "presentationUID", "presentationSeriesUID"),
)
KNOWN = ("requestType", *UIDS, "contentType", "charset", "transferSyntax", *_OF_PICTURES)
_LONGEST = 1024


@needs(Right.VIEW)
def wado(request: HttpRequest) -> HttpResponseBase:
    """An instance as a DICOM file (DOWNLOAD and VIEW_IDENTIFIED), or as a picture.

    Without ``contentType`` a single image is a JPEG, several frames are a file (PS3.18 9.1.2.1.4).
    """
    given = _given(request)
    row = queries.stored_instance(*(given[name] for name in UIDS))
    kinds = [each.split(";")[0].strip().lower() for each in given.get("contentType", "").split(",")]
    if DICOM not in kinds and (kinds != [""] or (row.number_of_frames or 1) == 1):
        from isocenter.apps.dicomweb.rendered import by_uri

        return by_uri(request, row)
    require(request, Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
    # Without a syntax it is explicit little endian (PS3.18 9.1.2.2.4.1).
    taken = Chosen(Offer(DICOM), given.get("transferSyntax", ""))
    return by_itself(request, outgoing([row], [taken])[0])


def _given(request: HttpRequest) -> dict[str, str]:
    """
    Raises:
        BadRequest: a parameter is unknown, comes twice, is too long, or is lacking.
    """
    given: dict[str, str] = {}
    for name, values in request.GET.lists():
        if name not in KNOWN:
            raise BadRequest(
                f"there is no parameter {shown(name)}", hint=f"there are: {', '.join(KNOWN)}"
            )
        if len(values) != 1 or len(values[0]) > _LONGEST:
            raise BadRequest(f"{name} comes once, with at most {_LONGEST} characters")
        given[name] = values[0]
    if given.get("requestType") != "WADO":
        raise BadRequest("requestType=WADO is asked for", hint="see PS3.18 9.1.2")
    if lacking := [name for name in UIDS if not given.get(name)]:
        raise BadRequest(f"{lacking[0]} is lacking")
    return given
