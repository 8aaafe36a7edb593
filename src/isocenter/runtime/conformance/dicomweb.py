"""The section for DICOMweb: resources, forms, parameters, statuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom.uid import UID

from isocenter.runtime.conformance.markdown import code, settings, table
from isocenter.runtime.settings import Web


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
            "keyword, by tag of eight digits, and inside of sequences by `Sequence.Attribute`. A "
            "key that the level does not have is refused (400), as is a parameter that is no "
            "attribute; C-FIND passes such a key over and answers 0xFF01. Success of STOW-RS says "
            "what success of C-STORE says ([above](#statuses)).\n",
            _media_types(),
            _wado_uri(),
            "### Statuses of DICOMweb\n",
            'An error is JSON, `{"error", "hint"}`.\n',
            table(("status", "when"), _statuses()),
            "### As user agent\n",
            "A node can be a DICOMweb service: deliveries go there by STOW-RS (`multipart/related; "
            'type="application/dicom"`), counts of a source are asked by QIDO-RS. Basic and '
            "bearer authorization, TLS with its own CA and a certificate of ours.\n",
            "### Settings\n",
            settings(Web, "web", ("host", "port", "cors_origins", "search_limit")),
        ]
    )


def _media_types() -> str:
    """All forms, where the table of resources names the main ones."""
    from isocenter.apps.archive.metadata.bulk import MEDIA_TYPES
    from isocenter.apps.dicomweb import (
        capabilities,
        documents,
        frames,
        metadata,
        rendered,
        retrieve,
    )
    from isocenter.apps.dicomweb.accept import DICOM, OCTETS
    from isocenter.apps.dicomweb.stow import asked

    single, parts = rendered.SINGLE, rendered.PARTS
    pictures, in_parts = _forms(single), _forms(parts)
    pixels = f"`{OCTETS}`, or as the pixel data are stored (below)"
    videos = _forms(dict.fromkeys(kind for kind in MEDIA_TYPES.values() if "video/" in kind))
    rows = [
        ("what the service can do", _forms(capabilities.OFFERED)),
        ("search, metadata", _forms(metadata.OFFERED)),
        ("study, series", _forms(retrieve.MANY)),
        ("instance", f"{_forms(retrieve.ONE)}; by itself with `Range`"),
        ("frames", f"{pixels}; in parts, one frame by itself too, with `Range`"),
        (
            "bulk data",
            f"{pixels}, of videos {videos}; in parts, one part by itself too, with `Range`",
        ),
        ("rendered: study, series", f"all images: {in_parts}; one of them: {pictures}"),
        ("rendered: instance, one frame", f"{pictures}; {in_parts}"),
        ("rendered: several frames", f"{in_parts}; `image/gif` (animated)"),
        ("rendered: document", _forms(dict.fromkeys(documents.ENCAPSULATED.values()))),
        ("thumbnail", f"{pictures}; of instances and frames {in_parts} too"),
        (
            "body of a store request",
            f"`{DICOM}` (one instance); `multipart/related` with the type "
            f"{_forms((DICOM, *asked.METADATA))}",
        ),
        ("answer to a store request", _forms(asked.OFFERS)),
    ]
    kept = table(("pixel data stored in", "frames as stored"), _encoded(frames.ENCODED))
    return (
        "### Media types\n\n`Accept`, or the parameter `accept`, chooses; where nothing is "
        "named, the first is given. `multipart/related` has the type of its parts.\n\n"
        + table(("what", "forms"), rows)
        + "\n"
        + kept
    )


def _forms(forms: Iterable[object]) -> str:
    return ", ".join(code(str(form)) for form in forms)


def _encoded(media_types: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """Transfer syntaxes by media type."""
    names: dict[tuple[str, ...], list[str]] = {}
    for uid, kinds in media_types.items():
        names.setdefault(kinds, []).append(UID(uid).name)
    return [(", ".join(them), _forms(kinds)) for kinds, them in names.items()]


def _wado_uri() -> str:
    from isocenter.apps.dicomweb import rendered, wado_uri
    from isocenter.apps.dicomweb.accept import DICOM

    rows = [
        (
            code(DICOM),
            "as stored, or in `transferSyntax`; also without a type where there are several frames",
        ),
        (_forms(rendered.SINGLE), "rendered; the first also without a type of one frame"),
    ]
    return (
        "### WADO-URI\n\n"
        + table(("contentType", ""), rows)
        + f"\nParameters: {_forms(wado_uri.KNOWN)}. {_forms(('requestType', *wado_uri.UIDS))} "
        "have to be there. `charset` and `presentationSeriesUID` change nothing; "
        "`presentationUID` is refused (400), as presentation states are not drawn. So is every "
        "other parameter, `anonymize` among them: nothing is given as de-identified that is not. "
        "Encapsulated documents are given as they are.\n"
    )


def _statuses() -> list[tuple[str, str]]:
    from isocenter.apps.archive import rejecting
    from isocenter.apps.dicomweb import transcoding_places as transcoding
    from isocenter.apps.dicomweb.stow import places

    return [
        ("200", "Done, or all instances stored"),
        (
            "202",
            "STOW-RS: some instances stored, or some stored with a warning; the answer says "
            "which, and why",
        ),
        ("204", "A search without a match; deleted; moved into quarantine"),
        (
            "206",
            "A part of a file, a frame or bulk data, where a range was asked for; pictures of a "
            "study or series of which some are left out (`Warning` says why)",
        ),
        ("304", "Not changed since (`If-None-Match`)"),
        (
            "400",
            "A parameter or a body that cannot be understood; a key that cannot be searched at "
            "the level",
        ),
        ("401, 403", "Nobody is signed in, or who asks lacks a right or a scope"),
        (
            "404",
            "There is no such study, series, instance, frame, value or address; rejection: no "
            f"such reason (there are {', '.join(map(code, rejecting.REASONS))})",
        ),
        ("405", "The address does not know the method; `Allow` names those that it does"),
        ("406", "None of the forms that are accepted can be made"),
        ("408", "STOW-RS: nothing comes any more, or less than 8 KB in a second"),
        (
            "409",
            "STOW-RS: nothing was stored, and why; deletion and rejection: it is protected or at "
            "work; retrieval: its file is not in the archive as it was stored",
        ),
        ("413, 507", "A body that is too large; a disk that is nearly full"),
        ("415", "A body of another form"),
        ("416", "A range beyond the end"),
        (
            "422",
            "Pictures or frames of what has no pixel data, or of pixel data that are broken, "
            "beyond the limits or in no form that is decoded here",
        ),
        ("500", "It failed here; the application log says what"),
        (
            "503",
            "The database does not answer, the index is being built, reception is paused, a "
            f"picture took too long, or too much is asked at once ({transcoding.ANSWERS} answers "
            f"of several transcoded instances, {transcoding.OF_ONE_ACCOUNT} of them of one "
            f"account; {transcoding.SINGLE} of one; {places.AT_ONCE} "
            f"store requests, {places.OF_ONE_ACCOUNT} of them of one account); `Retry-After` "
            "says when to try again",
        ),
    ]
