"""WADO-URI: one instance by a query (PS3.18 9), for viewers of that age.

The parameters are turned into those of `retrieve` and of rendered resources, which do the work.
"""

from __future__ import annotations

from collections.abc import Iterable
from django.http import HttpRequest, HttpResponseBase, QueryDict

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import Level, Question, StoredInstance
from isocenter.apps.dicomweb.accept import DICOM, Chosen, Offer
from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.apps.dicomweb.guard import needs, require
from isocenter.apps.dicomweb.qido_parameters import shown
from isocenter.apps.dicomweb.retrieve import by_itself
from isocenter.apps.dicomweb.syntaxes import outgoing
from isocenter.core.errors import NotFound

_UIDS = ("studyUID", "seriesUID", "objectUID")
_OF_PICTURES = (
    *("frameNumber", "rows", "columns", "region", "windowCenter", "windowWidth"),
    *("imageQuality", "annotation"),
)
_KNOWN = ("requestType", *_UIDS, "contentType", "charset", "transferSyntax", *_OF_PICTURES)
_ROWS, _COLUMNS, _SOP_UID = 0x00280010, 0x00280011, 0x00080018
_LONGEST = 1024


@needs(Right.VIEW)
def wado(request: HttpRequest) -> HttpResponseBase:
    """An instance as a DICOM file (DOWNLOAD and VIEW_IDENTIFIED), or as a picture."""
    given = _given(request)
    row = _instance(given)
    wanted = [each.split(";")[0].strip() for each in given.get("contentType", "").split(",")]
    if DICOM in wanted or (wanted == [""] and (row.number_of_frames or 1) > 1):
        require(request, Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
        # Without a syntax it is explicit little endian (PS3.18 9.1.2.2.4.1).
        taken = Chosen(Offer(DICOM), given.get("transferSyntax", ""))
        return by_itself(request, outgoing([row], [taken])[0])
    if "transferSyntax" in given:
        raise BadRequest(f"transferSyntax goes with contentType={DICOM}")
    return _picture(request, row, given, [each for each in wanted if each] or ["image/jpeg"])


def _given(request: HttpRequest) -> dict[str, str]:
    """
    Raises:
        BadRequest: a parameter is unknown, comes twice, is too long, or is lacking.
    """
    for name, values in request.GET.lists():
        if name not in _KNOWN:
            raise BadRequest(
                f"there is no parameter {shown(name)}", hint=f"there are: {', '.join(_KNOWN)}"
            )
        if len(values) != 1 or len(values[0]) > _LONGEST:
            raise BadRequest(f"{name} comes once, with at most {_LONGEST} characters")
    given = {name: value for name, value in request.GET.items() if isinstance(value, str)}
    if given.get("requestType") != "WADO":
        raise BadRequest("requestType=WADO is asked for", hint="see PS3.18 9.1.2")
    if lacking := [name for name in _UIDS if not given.get(name)]:
        raise BadRequest(f"{lacking[0]} is lacking")
    return given


def _instance(given: dict[str, str]) -> StoredInstance:
    study_uid, series_uid, sop_uid = (given[name] for name in _UIDS)
    found = next(
        iter(queries.stored(study_uid=study_uid, series_uid=series_uid, sop_uid=sop_uid)), None
    )
    if found is None:
        raise NotFound(f"no instance {sop_uid} is here in that study and series")
    return found


def _picture(
    request: HttpRequest, row: StoredInstance, given: dict[str, str], types: Iterable[str]
) -> HttpResponseBase:
    from isocenter.apps.dicomweb import rendered

    wishes = QueryDict(mutable=True)
    # Text of structured reports and the like is asked for as text/html or text/plain.
    wishes["accept"] = ",".join(types)
    if "annotation" in given:
        wishes["annotation"] = given["annotation"]
    if "imageQuality" in given:
        wishes["quality"] = given["imageQuality"]
    if window := _pair(given, "windowCenter", "windowWidth"):
        wishes["window"] = f"{window[0]},{window[1]},linear"
    if viewport := _viewport(given, row):
        wishes["viewport"] = viewport
    request.GET = wishes  # type: ignore[assignment]
    uids = (row.study_uid, row.series_uid, row.sop_uid)
    if "frameNumber" in given:
        answer = rendered.frames_rendered(request, *uids, given["frameNumber"])
    else:
        answer = rendered.instance_rendered(request, *uids)
    return answer


def _pair(given: dict[str, str], one: str, other: str) -> tuple[str, str] | None:
    """
    Raises:
        BadRequest: only one of two that belong together.
    """
    if one not in given and other not in given:
        return None
    if one not in given or other not in given:
        raise BadRequest(f"{one} and {other} go together")
    return given[one], given[other]


def _viewport(given: dict[str, str], row: StoredInstance) -> str:
    """``rows``, ``columns`` and ``region`` as ``viewport=vw,vh,sx,sy,sw,sh`` (PS3.18 8.3.5.1.3)."""
    sizes = [given.get("columns", given.get("rows", "")), given.get("rows", given.get("columns"))]
    if "region" not in given:
        return ",".join(str(each) for each in sizes) if any(sizes) else ""
    rows, columns = _extent(row)
    try:
        left, top, right, bottom = (float(part) for part in given["region"].split(","))
    except ValueError:
        raise BadRequest("region is four numbers from 0 to 1: left,top,right,bottom") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("region goes from 0 to 1, left before right and top before bottom")
    width, height = (right - left) * columns, (bottom - top) * rows
    shown_at = [
        each or str(max(1, round(size))) for each, size in zip(sizes, (width, height), strict=True)
    ]
    source = (left * columns, top * rows, width, height)
    return ",".join((*shown_at, *(f"{each:g}" for each in source)))


def _extent(row: StoredInstance) -> tuple[int, int]:
    question = Question(
        level=Level.INSTANCE,
        keys={_SOP_UID: row.sop_uid, 0x0020000D: row.study_uid},
        returns=frozenset({_ROWS, _COLUMNS}),
    )
    for match in queries.search(question):
        size = [match.values.get(tag, ()) for tag in (_ROWS, _COLUMNS)]
        if all(size):
            return int(str(size[0][0])), int(str(size[1][0]))
    raise BadRequest("this instance has no rows and columns of which a region could be taken")
