"""Verification service class (PS3.4 annex A): C-ECHO."""

from __future__ import annotations

from .command import C_ECHO_RQ, SUCCESS, UNRECOGNISED_OPERATION
from .messages import Message
from .services import AssociationInfo, Channel, Session, is_known_request
from .sop_classes import VERIFICATION


class VerificationService:
    """Answers C-ECHO."""

    def supports(self, abstract_syntax: str) -> bool:
        return abstract_syntax == VERIFICATION

    def open(self, info: AssociationInfo) -> Session:
        return _VerificationSession()


class _VerificationSession:
    def handle(self, message: Message, channel: Channel) -> None:
        if not is_known_request(message.command, C_ECHO_RQ):
            channel.respond(message, UNRECOGNISED_OPERATION)
            return
        message.drain()
        channel.respond(message, SUCCESS)
        channel.emit("C_ECHO")

    def close(self) -> None:
        """Nothing is held."""
