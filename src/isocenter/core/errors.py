"""The one error tree of Isocenter.

::

    IsocenterError                 anything that Isocenter says no to
    ├── ConfigurationError         a setting, file or argument that cannot be used
    ├── DicomError                 a file or data set that cannot be used
    │   ├── NotDicomError          the bytes are no DICOM
    │   ├── BoundsError            larger, deeper or longer than the bounds allow
    │   ├── DataSetError           parsed, but an attribute is missing or makes no sense
    │   ├── GeometryError          positions, orientations or spacings that make no volume
    │   ├── PixelError             pixel data that cannot be decoded or written
    │   └── ContourError           a structure set that cannot be drawn
    ├── NetworkError               a peer that cannot be reached or breaks the protocol
    │   ├── AssociationRejected    A-ASSOCIATE-RJ, with source and reason
    │   ├── AssociationAborted     A-ABORT, or the connection went away
    │   ├── ProtocolError          bytes that PS3.8 does not allow
    │   └── NetworkTimeout         nothing came in time
    ├── SpoolError                 the spool cannot take or give an instance
    ├── ChildError                 a child process that did not end well
    │   ├── ChildFailed            it raised; carries the reason and the trace
    │   ├── ChildTimeout           it took longer than its limit
    │   ├── ChildMemoryExceeded    it held more memory than its limit
    │   ├── ChildCancelled         somebody stopped it
    │   ├── ChildBusy              no process was free in time
    │   └── ChildDied              it ended with no answer (signal, crash)
    ├── RoutingError               a route, condition, pipeline or step that cannot be used
    │   ├── ConditionError         carries position and suggestion
    │   └── PipelineError          carries the path of the wrong key
    ├── NotFound                   no such study, run, node, route
    ├── Refused                    not as things stand: protected, or still at work
    └── NotAllowed                 who asks lacks a right

Every message says what was found, where, and what to do. Messages never carry a patient's
identity: UIDs and tags yes, values of identifying attributes no.
"""

from __future__ import annotations


class IsocenterError(Exception):
    """Anything that Isocenter says no to.

    Attributes:
        hint: what the reader can do about it; empty when the message says it already.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class ConfigurationError(IsocenterError):
    """A setting, file or argument that cannot be used."""


class DicomError(IsocenterError):
    """A file or data set that cannot be used."""


class NotDicomError(DicomError):
    """The bytes are no DICOM."""


class BoundsError(DicomError):
    """Larger, deeper or longer than the bounds allow."""


class DataSetError(DicomError):
    """Parsed, but an attribute is missing or makes no sense."""


class GeometryError(DicomError):
    """Positions, orientations or spacings that make no volume."""


class PixelError(DicomError):
    """Pixel data that cannot be decoded or written."""


class ContourError(DicomError):
    """A structure set that cannot be drawn."""


class NetworkError(IsocenterError):
    """A peer that cannot be reached or breaks the protocol."""


class AssociationRejected(NetworkError):
    """The peer answered A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 provider (ACSE), 3 provider (presentation).
        reason: meaning depends on the source.
    """

    def __init__(self, message: str, *, result: int, source: int, reason: int) -> None:
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason

    @property
    def is_permanent(self) -> bool:
        return self.result == 1


class AssociationAborted(NetworkError):
    """The peer sent A-ABORT, or the connection went away."""


class ProtocolError(NetworkError):
    """Bytes that PS3.8 or PS3.7 does not allow."""


class NetworkTimeout(NetworkError):
    """Nothing came in time."""


class SpoolError(IsocenterError):
    """The spool cannot take or give an instance."""


class ChildError(IsocenterError):
    """A child process that did not end well.

    Attributes:
        trace: traceback of the child, empty when it had none to give.
    """

    def __init__(self, message: str, *, hint: str = "", trace: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class ChildFailed(ChildError):
    """The child raised.

    Attributes:
        kind: name of the exception's class in the child, for example ``ContourError``.
    """

    def __init__(self, message: str, *, kind: str = "", trace: str = "") -> None:
        super().__init__(message, trace=trace)
        self.kind = kind


class ChildTimeout(ChildError):
    """The child took longer than its limit."""


class ChildMemoryExceeded(ChildError):
    """The child held more memory than its limit."""


class ChildCancelled(ChildError):
    """Somebody stopped the child."""


class ChildBusy(ChildError):
    """No process of a pool was free in time: ask again later."""


class ChildDied(ChildError):
    """The child ended with no answer."""


class RoutingError(IsocenterError):
    """A route, condition, pipeline or step that cannot be used."""


class ConditionError(RoutingError):
    """A condition that cannot be read.

    Attributes:
        position: offset of the offending character in the expression.
        suggestion: nearest valid word, or empty.
    """

    def __init__(self, message: str, *, position: int, suggestion: str = "") -> None:
        super().__init__(message, hint=f"did you mean {suggestion}?" if suggestion else "")
        self.position = position
        self.suggestion = suggestion


class PipelineError(RoutingError):
    """A pipeline definition that cannot be used.

    Attributes:
        path: where in the definition, for example ``steps[1].with.formats``.
    """

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


class NotFound(IsocenterError):
    """No such study, run, node or route."""


class Refused(IsocenterError):
    """Not as things stand: it is protected, or something is still at work on it."""


class NotAllowed(IsocenterError):
    """Who asks lacks a right."""
