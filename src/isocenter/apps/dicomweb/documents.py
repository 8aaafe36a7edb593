"""Documents inside of instances as they are (PS3.18 8.7.4: rendered resources of documents)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb.accept import Offer, chosen_of
from isocenter.apps.dicomweb.bulk_data import contents_of
from isocenter.apps.dicomweb.guard import require
from isocenter.apps.dicomweb.single_answers import etag_of, single_answer
from isocenter.apps.dicomweb.viewing import note_view

PDF = "application/pdf"
#: SOP classes of documents (PS3.4 B.5) and their media types.
ENCAPSULATED = {
    "1.2.840.10008.5.1.4.1.1.104.1": PDF,
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
}
_DOCUMENT = "00420011"


def document(request: HttpRequest, row: StoredInstance) -> HttpResponseBase:
    """An encapsulated document; its text may say who the patient is.

    XML may carry scripts: shown in a browser it may do nothing.

    Raises:
        NotAllowed: who asks may not know whose it is.
        NotAcceptable: the client does not take documents of this kind.
        NotFound: the instance has none.
    """
    require(request, Right.VIEW_IDENTIFIED)
    kind = ENCAPSULATED[row.sop_class_uid]
    chosen_of(request.headers.get("Accept"), request.GET.get("accept"), [Offer(kind)])
    found = queries.bulk_data(row.study_uid, row.series_uid, row.sop_uid, _DOCUMENT)
    contents = [piece for part in found.parts for piece in contents_of(part)]
    note_view(request, row.study_uid, "document")
    response = single_answer(request, contents, kind, etag=etag_of(row.digest[:32], "document"))
    if kind != PDF:
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
