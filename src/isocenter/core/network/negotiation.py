"""What an association that was asked for is given: contexts, roles, extended behaviour."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .pdu import AssociateRequest, ContextResult, ProposedContext
from .services import AcceptedContext, SendingService, Service, find_service
from .sop_classes import (
    FIND_CLASSES,
    GET_CLASSES,
    MOVE_CLASSES,
    STORAGE_COMMITMENT,
    choose_query_syntax,
    choose_syntax_to_send,
    choose_transfer_syntax,
    is_storage,
)

_QUERY_AND_RETRIEVE = FIND_CLASSES | MOVE_CLASSES | GET_CLASSES
_ACCEPTED, _ABSTRACT_SYNTAX_REFUSED, _TRANSFER_SYNTAXES_REFUSED = 0, 3, 4


@dataclass
class Agreement:
    """What both sides agree on.

    Attributes:
        results: for each context that was proposed, in order.
        contexts: those that were accepted.
        chosen: the service of each context on which the peer may ask.
        roles: (SCU, SCP) of the requestor by SOP class, where it proposed roles.
    """

    results: list[ContextResult] = field(default_factory=list)
    contexts: dict[int, AcceptedContext] = field(default_factory=dict)
    chosen: dict[int, Service] = field(default_factory=dict)
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)


def negotiate(request: AssociateRequest, services: Sequence[Service]) -> Agreement:
    """Presentation contexts (PS3.8 9.3.3.2) and SCP/SCU roles (PS3.7 D.3.3.4).

    The requestor may be SCP of storage where it also asks for C-GET: its instances go there.
    """
    agreed = Agreement()
    proposed = {context.abstract_syntax for context in request.contexts}
    sending = _sending_service(proposed, services)
    for context in request.contexts:
        uid = context.abstract_syntax
        roles = None
        if uid in request.user.roles:
            is_scu, is_scp = request.user.roles[uid]
            may_be_scp = uid == STORAGE_COMMITMENT or (sending is not None and is_storage(uid))
            roles = (is_scu, is_scp and may_be_scp)
        if sending is not None and roles is not None and roles[1] and is_storage(uid):
            preferred = sending.preferred_syntax(uid)
            syntax = choose_syntax_to_send(context.transfer_syntaxes, preferred)
        elif uid in _QUERY_AND_RETRIEVE:
            syntax = choose_query_syntax(context.transfer_syntaxes)
        else:
            syntax = choose_transfer_syntax(context.transfer_syntaxes)
        _answer(context, roles, find_service(services, uid), syntax, agreed)
    return agreed


def _sending_service(
    proposed: Collection[str], services: Sequence[Service]
) -> SendingService | None:
    for uid in GET_CLASSES.intersection(proposed):
        service = find_service(services, uid)
        if isinstance(service, SendingService):
            return service
    return None


def _answer(
    context: ProposedContext,
    roles: tuple[bool, bool] | None,
    service: Service | None,
    syntax: str | None,
    agreed: Agreement,
) -> None:
    is_scu, is_scp = roles or (True, False)
    number, uid = context.context_id, context.abstract_syntax
    first = next(iter(context.transfer_syntaxes), "")
    if service is None:
        agreed.results.append(ContextResult(number, _ABSTRACT_SYNTAX_REFUSED, first))
        return
    if syntax is None:
        agreed.results.append(ContextResult(number, _TRANSFER_SYNTAXES_REFUSED, first))
        return
    agreed.results.append(ContextResult(number, _ACCEPTED, syntax))
    agreed.contexts[number] = AcceptedContext(number, uid, syntax, is_scu, is_scp)
    if roles is not None:
        agreed.roles[uid] = roles
    if is_scu or uid == STORAGE_COMMITMENT:  # its SCP reports to us (PS3.4 J.3.3)
        agreed.chosen[number] = service


def answer_extended(
    asked: Mapping[str, bytes], contexts: Iterable[AcceptedContext]
) -> dict[str, bytes]:
    """Extended negotiation of query and retrieve (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1).

    Relational queries and retrievals are not offered; dates and times are matched together, and
    names fuzzily, where that was asked for.
    """
    accepted = {context.abstract_syntax for context in contexts}
    answers = {}
    for uid, content in asked.items():
        if uid not in accepted:
            continue
        wanted = (content + bytes(3))[:3]
        if uid in FIND_CLASSES:
            answer = bytes((0, wanted[1] & 1, wanted[2] & 1, 0, 0))
            answers[uid] = answer[: max(1, min(len(content), len(answer)))]
        elif uid in MOVE_CLASSES | GET_CLASSES:
            answers[uid] = bytes(max(1, min(len(content), 2)))
    return answers
