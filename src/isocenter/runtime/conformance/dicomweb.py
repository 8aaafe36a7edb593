"""The section for DICOMweb: resources, forms, parameters, statuses."""

from __future__ import annotations

from isocenter.runtime.conformance.markdown import code, settings, table
from isocenter.runtime.settings import Web

_STATUSES = (
    ("200", "Done, or all instances stored"),
    ("202", "STOW-RS: some instances stored; the answer says which were not, and why"),
    ("204", "A search without a match"),
    ("206", "A part of a file or of bulk data, where a range was asked for"),
    ("304", "Not changed since (`If-None-Match`)"),
    ("400", "A parameter or a body that cannot be understood"),
    ("401, 403", "Nobody is signed in, or who asks lacks a right or a scope"),
    ("404", "There is no such study, series, instance or frame"),
    ("406", "None of the forms that are accepted can be made"),
    ("408", "STOW-RS: nothing comes any more, or less than 8 KB in a second"),
    ("409", "STOW-RS: nothing was stored, and why; deletion: it is protected or at work"),
    ("413, 507", "A body that is too large; a disk that is nearly full"),
    ("415", "A body of another form"),
    ("416", "A range beyond the end"),
    (
        "503",
        "The database does not answer, or too much is asked at once (16 answers of several "
        "transcoded instances; 32 of one; 16 store requests, 8 of them of one account); "
        "`Retry-After` says when to try again",
    ),
)
_WADO_URI = (
    ("`application/dicom`", "as stored, or in `transferSyntax`"),
    ("`image/jpeg`, `image/png`, `image/gif`", "rendered; `frameNumber`, window, region, size"),
)


def dicomweb_section() -> str:
    """Needs Django to be set up: the table stands beside the views."""
    from isocenter.apps.dicomweb.capabilities import RESOURCES

    rows = [
        (
            method,
            code(path),
            does,
            ", ".join(code(form) for form in forms),
            ", ".join(code(name) for name in parameters),
        )
        for method, path, does, forms, parameters in RESOURCES
    ]
    head = ("method", "resource", "what", "media types", "parameters")
    return "\n".join(
        [
            "## DICOMweb\n",
            "Origin server at `/dicom-web/` (PS3.18); WADO-URI at `/wado`. Sessions and tokens "
            "(`Authorization: Bearer …`); every request needs the same rights as the pages do. "
            "Attributes that tell of a person (those that the Basic Profile of PS3.15 Table E.1-1 "
            "changes, other than UIDs) are left out of answers for who may not see identities. "
            "Whole studies and series come as ZIP with `Accept: application/zip`. Frames as "
            "`image/*` are the compressed frames as they are stored: 406 where they are stored "
            "otherwise; `/rendered` makes pictures of every frame that is decoded.\n",
            table(head, rows),
            "QIDO-RS matches the attributes of [the keys above](#matching-and-return-keys), by "
            "keyword, by tag of eight digits, and inside of sequences by `Sequence.Attribute`.\n",
            "### WADO-URI\n",
            table(("contentType", ""), _WADO_URI),
            "### Statuses\n",
            table(("status", "when"), _STATUSES),
            "### As user agent\n",
            "A node can be a DICOMweb service: deliveries go there by STOW-RS (`multipart/related; "
            'type="application/dicom"`), counts of a source are asked by QIDO-RS. Basic and '
            "bearer authorization, TLS with its own CA and a certificate of ours.\n",
            "### Settings\n",
            settings(Web, "web", ("host", "port", "cors_origins", "search_limit")),
        ]
    )
