"""Addresses of DICOMweb, below ``/dicom-web/`` (PS3.18 10.1.1).

Each method of each address says what right it needs; see `guard`.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb import (
    bulk_data,
    capabilities,
    deletion,
    metadata,
    nothing,
)
from isocenter.apps.dicomweb.guard import View, by_method
from isocenter.apps.dicomweb.later import later

_STUDY = "studies/<uid:study_uid>"
_SERIES = f"{_STUDY}/series/<uid:series_uid>"
_INSTANCE = f"{_SERIES}/instances/<uid:sop_uid>"
_FRAMES = f"{_INSTANCE}/frames/<str:frames>"


def _picture(place: str) -> View:
    return by_method(GET=later(place, Right.VIEW))


_FILES = (Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
_store = later("stow.views:store", Right.UPLOAD)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", capabilities.capabilities, name="dicomweb-capabilities"),
    # Search (10.6)
    path(
        "studies",
        by_method(GET=later("qido:studies", Right.VIEW), POST=_store),
        name="dicomweb-studies",
    ),
    path("series", by_method(GET=later("qido:series", Right.VIEW)), name="dicomweb-all-series"),
    path(
        "instances",
        by_method(GET=later("qido:instances", Right.VIEW)),
        name="dicomweb-all-instances",
    ),
    path(
        f"{_STUDY}/series",
        by_method(GET=later("qido:series", Right.VIEW)),
        name="dicomweb-study-series",
    ),
    path(
        f"{_STUDY}/instances",
        by_method(GET=later("qido:instances", Right.VIEW)),
        name="dicomweb-study-instances",
    ),
    path(
        f"{_SERIES}/instances",
        by_method(GET=later("qido:instances", Right.VIEW)),
        name="dicomweb-series-instances",
    ),
    # Retrieve (10.4), delete, store (10.5)
    path(
        _STUDY,
        by_method(GET=later("retrieve:instances", *_FILES), POST=_store, DELETE=deletion.study),
        name="dicomweb-study",
    ),
    path(
        _SERIES,
        by_method(GET=later("retrieve:instances", *_FILES), DELETE=deletion.series),
        name="dicomweb-one-series",
    ),
    path(
        _INSTANCE,
        by_method(GET=later("retrieve:instance", *_FILES), DELETE=deletion.instance),
        name="dicomweb-instance",
    ),
    *(
        path(
            f"{place}/reject/<str:code>",
            by_method(POST=deletion.reject),
            name=f"dicomweb-reject-{name}",
        )
        for name, place in (("study", _STUDY), ("series", _SERIES), ("instance", _INSTANCE))
    ),
    path(f"{_STUDY}/metadata", by_method(GET=metadata.metadata), name="dicomweb-study-metadata"),
    path(f"{_SERIES}/metadata", by_method(GET=metadata.metadata), name="dicomweb-series-metadata"),
    path(
        f"{_INSTANCE}/metadata", by_method(GET=metadata.metadata), name="dicomweb-instance-metadata"
    ),
    path(
        f"{_INSTANCE}/bulkdata/<path:place>",
        by_method(GET=bulk_data.bulk_data),
        name="dicomweb-bulk-data",
    ),
    # Pixels (10.4.1.1.3, 10.4.1.1.4)
    path(f"{_STUDY}/rendered", _picture("rendered:study_rendered"), name="dicomweb-study-rendered"),
    path(
        f"{_SERIES}/rendered", _picture("rendered:series_rendered"), name="dicomweb-series-rendered"
    ),
    path(
        f"{_INSTANCE}/rendered",
        _picture("rendered:instance_rendered"),
        name="dicomweb-instance-rendered",
    ),
    path(
        f"{_STUDY}/thumbnail", _picture("rendered:study_thumbnail"), name="dicomweb-study-thumbnail"
    ),
    path(
        f"{_SERIES}/thumbnail",
        _picture("rendered:series_thumbnail"),
        name="dicomweb-series-thumbnail",
    ),
    path(
        f"{_INSTANCE}/thumbnail",
        _picture("rendered:instance_thumbnail"),
        name="dicomweb-instance-thumbnail",
    ),
    path(_FRAMES, _picture("frames:frames"), name="dicomweb-frames"),
    path(
        f"{_FRAMES}/rendered", _picture("rendered:frames_rendered"), name="dicomweb-frames-rendered"
    ),
    path(
        f"{_FRAMES}/thumbnail",
        _picture("rendered:frames_thumbnail"),
        name="dicomweb-frames-thumbnail",
    ),
    re_path(r"^(?P<path>.*)$", nothing.nothing, name="dicomweb-nothing"),
]
