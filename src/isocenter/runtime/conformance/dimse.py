"""The network section for DIMSE: application entities, SOP classes, syntaxes, keys, statuses."""

from __future__ import annotations

import pynetdicom  # noqa: F401 - names of newer transfer syntaxes, for UID
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID, UID_dictionary

from isocenter.apps.archive.search.attributes import SEARCHABLE, Level, Matching
from isocenter.core.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from isocenter.core.dicom.pixels import DECODABLE
from isocenter.core.dicom.transcode import WRITABLE
from isocenter.core.dicom.uids import IMPLEMENTATION_CLASS_UID
from isocenter.core.network import command, get, query_model, sop_classes
from isocenter.core.network.find import ANSWERED_BESIDES
from isocenter.core.network.registry import TRANSFER_SYNTAXES
from isocenter.core.network.retrieval import PENDING_EVERY_S
from isocenter.runtime.conformance.markdown import code, settings, status, table, tag
from isocenter.runtime.settings import Receiver, Storage, Tls

_BOTH, _SCU, _SCP = "SCU, SCP", "SCU", "SCP"

Statuses = tuple[tuple[int, str], ...]
_STORE: Statuses = (
    (command.SUCCESS, "Accepted: on the disk, synced"),
    (
        command.SOP_CLASS_NOT_SUPPORTED,
        "The SOP class is denied: `receiver.denied_sop_classes`",
    ),
    (command.NOT_AUTHORISED, "The node may not store, or callers that are no node are refused"),
    (command.OUT_OF_RESOURCES, "The disk is nearly full, or reception is paused; send again later"),
    (command.DATA_SET_DOES_NOT_MATCH, "UIDs of command and data set differ"),
    (command.CANNOT_UNDERSTAND, "The data set cannot be read, or is kept under no UID"),
)
_QUERY: Statuses = (
    (query_model.PENDING, "A match follows"),
    (query_model.PENDING_UNSUPPORTED_KEYS, "The same; optional keys were asked that are not kept"),
    (command.SUCCESS, "All matches were told"),
    (query_model.CANCELLED, "C-CANCEL came"),
    (command.OUT_OF_RESOURCES, "More matches than `receiver.max_answers`, or the index is away"),
    (
        command.DATA_SET_DOES_NOT_MATCH,
        "The identifier has a wrong level or key, or is relational",
    ),
    (command.CANNOT_UNDERSTAND, "The identifier cannot be read"),
    (query_model.NOT_AUTHORISED, "The caller is no node that may query"),
    (query_model.UNABLE_TO_PROCESS, "It failed here; the comment says what"),
)
_RETRIEVE: Statuses = (
    (query_model.PENDING, f"Counters of sub-operations, at least every {PENDING_EVERY_S:g} s"),
    (command.SUCCESS, "All were sent"),
    (query_model.SUB_OPERATIONS_WITH_FAILURES, "Some failed: Failed SOP Instance UID List"),
    (query_model.CANCELLED, "C-CANCEL came"),
    (command.OUT_OF_RESOURCES, "The index is away, or the receiver is stopping"),
    (query_model.OUT_OF_RESOURCES_MATCHES, "More instances than one request may ask for"),
    (query_model.OUT_OF_RESOURCES_SUB_OPERATIONS, "No sub-operation went well"),
    (query_model.DESTINATION_UNKNOWN, "C-MOVE only: the destination is no enabled node"),
    (command.DATA_SET_DOES_NOT_MATCH, "The identifier has a wrong level or key"),
    (query_model.NOT_AUTHORISED, "The caller is no node that may retrieve"),
    (query_model.UNABLE_TO_PROCESS, "It failed here; the comment says what"),
)
_COMMIT: Statuses = (
    (command.SUCCESS, "N-ACTION: the request is taken; N-EVENT-REPORT follows"),
    (command.NOT_AUTHORISED, "The caller is no node that may ask for commitment"),
    (command.NO_SUCH_ACTION, "Another action than 1"),
    (command.INVALID_ARGUMENT, "The data set has no transaction or no reference that can be read"),
    (command.NO_SUCH_INSTANCE, "Not the well-known SOP instance of the service"),
    (command.RESOURCE_LIMITATION, "The database does not answer; ask later"),
    (command.PROCESSING_FAILURE, "It failed here"),
)
_FAILURES: Statuses = (
    (command.PROCESSING_FAILURE, "Its file is gone or not as it was stored, or see below"),
    (command.NO_SUCH_INSTANCE, "It is not in the archive"),
    (command.CLASS_INSTANCE_CONFLICT, "It is there with another SOP class"),
)


def dimse_sections() -> list[str]:
    """Sections of the statement, in order."""
    return [
        _entities(),
        _services(),
        _syntaxes(),
        _keys(),
        _statuses(),
        _security(),
        _limits(),
    ]


def _entities() -> str:
    rows = [
        ("Implementation Class UID", code(IMPLEMENTATION_CLASS_UID)),
        ("Implementation Version Name", code(IMPLEMENTATION_VERSION_NAME)),
        ("Application Context", code("1.2.840.10008.3.1.1.1")),
        ("Largest PDU taken", f"{Receiver.model_fields['max_pdu'].default} bytes (default)"),
        ("Asynchronous operations", "not negotiated: one operation at a time"),
        ("Roles", "SCP role of the requestor for storage classes, on associations with C-GET"),
        ("Extended negotiation", "C-FIND: combined date-time matching, fuzzy names; no relational"),
        ("User identity", "taken and not asked for; callers are known by AE title and address"),
    ]
    return "\n".join(
        [
            "## Application entities\n",
            "Three application entities share one index, one set of nodes and one set of rights.\n",
            "- **RECEIVER** takes associations: C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET, Storage "
            "Commitment. C-STORE goes on while the database is away.\n"
            "- **SENDER** opens associations to nodes: C-ECHO, C-STORE (deliveries and "
            "sub-operations of C-MOVE), C-FIND (counts of a source), Storage Commitment.\n"
            "- **WEB** serves and uses DICOMweb.\n",
            table(("", ""), rows),
        ]
    )


def _services() -> str:
    rows = [("Verification", sop_classes.VERIFICATION, _BOTH)]
    for uid in sorted(sop_classes.FIND_CLASSES):
        is_asked = uid == sop_classes.STUDY_ROOT_FIND
        rows.append((UID(uid).name, uid, _BOTH if is_asked else _SCP))
    rows += [
        (UID(uid).name, uid, _SCP)
        for uid in sorted(sop_classes.MOVE_CLASSES) + sorted(sop_classes.GET_CLASSES)
    ]
    rows.append(("Storage Commitment Push Model", sop_classes.STORAGE_COMMITMENT, _BOTH))
    stored = [
        (name + (" (retired)" if retired else ""), uid, _BOTH)
        for uid, (name, kind, _, retired, _) in sorted(UID_dictionary.items())
        if kind == "SOP Class" and "Storage" in name and sop_classes.is_storage(uid)
    ]
    head = ("SOP class", "UID", "role")
    services = table(head, [(name, code(uid), role) for name, uid, role in rows])
    storage = table(head, [(name, code(uid), role) for name, uid, role in stored])
    return (
        f"## SOP classes\n\n### Services\n\n{services}\n### Storage\n\n"
        "Every storage SOP class is taken, those of this list, private ones and ones that are "
        "newer than this list, at level 2 (full): every attribute is kept, as it came, byte for "
        f"byte. Nothing is coerced. Sub-operations of C-GET and C-MOVE send them.\n\n{storage}"
    )


def _syntaxes() -> str:
    rows = [
        (
            UID(uid).name + (" (retired)" if retired else ""),
            code(uid),
            "yes",
            "yes" if uid in DECODABLE else "",
            "yes" if uid in WRITABLE else "",
        )
        for uid, retired in TRANSFER_SYNTAXES.items()
    ]
    targets = ", ".join(UID(uid).name for uid in get.TARGETS)
    return (
        "## Transfer syntaxes\n\nAs SCP of storage the first proposed syntax that is registered "
        "and not retired is accepted, else a retired or private one. Query and retrieve take "
        "every syntax without compressed pixels. Instances are sent as they are stored where the "
        "peer accepts that; else they are converted without loss to the first of these that it "
        f"accepts: {targets}. Nothing is ever compressed with loss. Of a C-GET requestor's "
        "context with several syntaxes, explicit, then implicit little endian is chosen, in which "
        "every readable instance can be sent; who wants instances as they are stored proposes a "
        "context for each syntax. What is not decoded here (see the table) leaves as it is stored "
        "alone: WADO-RS gives it with `transfer-syntax=*` or where none is named, else 406.\n\n"
        + table(
            ("transfer syntax", "UID", "taken and sent as stored", "decoded", "converted to"), rows
        )
    )


def _besides() -> str:
    return " and ".join(f"{code(keyword_for_tag(each))} {tag(each)}" for each in ANSWERED_BESIDES)


def _keys() -> str:
    parts = [
        "## Matching and return keys\n",
        "The same table answers C-FIND and QIDO-RS. C-FIND is hierarchical: the unique keys of "
        "the levels above are required. A level answers the attributes of the levels above it "
        "too. Text is matched without case and accents, names by component group; codes, "
        "identifiers and UIDs exactly. Both sides are folded, ß to `ss`: `?` stands for one letter "
        "of the folded text. Empty keys match everything. A key that the level does not have is "
        "passed over by C-FIND (0xFF01) and refused by QIDO-RS (400).\n",
        f"Each answer of C-FIND also has {_besides()}: the AE title that was called, "
        "or the own one where that is `ANY-SCP`.\n",
    ]
    for level in Level:
        rows = [
            (
                code(each.keyword),
                tag(each.tag),
                each.vr,
                _matching(each.matching)
                + "".join(
                    f"; {code(inner.keyword)}: {_matching(inner.matching)}"
                    for inner in each.items.values()
                ),
            )
            for each in SEARCHABLE[level].values()
            if each.level == level
        ]
        parts += [f"### {level}\n", table(("attribute", "tag", "VR", "matching"), rows)]
    return "\n".join(parts)


def _matching(kinds: tuple[Matching, ...]) -> str:
    return ", ".join(str(kind) for kind in kinds)


def _statuses() -> str:
    parts = ["## Statuses\n"]
    for title, rows in (
        ("C-STORE", _STORE),
        ("C-FIND", _QUERY),
        ("C-MOVE and C-GET", _RETRIEVE),
        ("Storage Commitment, N-ACTION", _COMMIT),
        ("Storage Commitment, Failure Reason (0008,1197)", _FAILURES),
    ):
        told = [(status(number), text) for number, text in rows]
        parts += [f"### {title}\n", table(("status", "when"), told)]
    kept = Storage.model_fields["duplicate_policy"].default
    parts.append(
        "Success of C-STORE and of STOW-RS says that the object is durably on the disk; the index "
        "sees it after that. Another data set under a SOP Instance UID that is in the archive is "
        "accepted, too. One of both stays in the archive and the other is set aside in quarantine, "
        f"as `storage.duplicate_policy` says (`{kept}` where it is not set); nothing is "
        "overwritten, and an event tells it "
        "([operations](operations.md#the-same-sop-instance-uid-again)). Storage Commitment speaks "
        "of the object that is in the archive, and is refused (0x0110) while another data set with "
        "its UID is in quarantine.\n"
    )
    parts.append(
        "As SCU of storage, success and warnings (0xB000, 0xB006, 0xB007, 0x0107, 0x0116) count "
        "as stored; refusals for want of resources (0xA7xx) are tried again by the delivery's "
        "rule; other failures stay with the delivery, with the peer's comment.\n"
    )
    return "\n".join(parts)


def _security() -> str:
    names = tuple(Tls.model_fields)
    return (
        "## Security of associations\n\nTLS by the BCP 195 profiles (PS3.15 B.9 to B.12): 1.2 or "
        "later, with a certificate of our own and, where wanted, certificates of the peers. Both "
        "as acceptor and as requestor, for each node. A caller is a node when its AE title is the "
        "node's and its address is the node's; a node can be required to talk TLS or to show a "
        "certificate. There is one port: with a certificate it takes TLS alone. Each node may be "
        "allowed to store, query, retrieve and ask for commitment; "
        "callers that are no node may at most store. Every refusal is an event of the audit "
        "trail, and so is every query and retrieval.\n\n" + settings(Tls, "receiver.tls", names)
    )


def _limits() -> str:
    names = [
        name
        for name in Receiver.model_fields
        if name.startswith(("max_", "allowed_", "denied_", "unknown_"))
        or name.endswith(("_timeout_s", "_ae_title"))
    ]
    return "## Limits and times\n\n" + settings(Receiver, "receiver", names)
