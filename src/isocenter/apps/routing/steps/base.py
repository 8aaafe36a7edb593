"""What a step is: parameters, a request for a child process, and what came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from isocenter.core.errors import RoutingError

#: Of what ``deidentify`` makes of received instances; of artifacts it makes their own kind.
RECEIVED_KIND = "deidentified"
OnMissing = Literal["quarantine", "skip", "continue"]
Call = Mapping[str, Any]


class StepRefused(RoutingError):
    """The study does not have what the step demands; a person has to look at it."""


def choices(*names: str) -> dict[str, Any]:
    """For ``json_schema_extra``: what a text may be, or what the items of a list may be."""
    return {"choices": list(names)}


class StepParameters(BaseModel):
    """Parameters of a step; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class InputInstance:
    """An instance of the study as it was received, or as ``deidentify`` left it.

    Attributes:
        path: absolute.
        digest: SHA-256 of the data set.
        references: series that it names, for structure sets and the like.
        artifact: id, for what ``deidentify`` has put in the place of what was received.
    """

    path: Path
    sop_uid: str
    series_uid: str
    sop_class_uid: str
    modality: str
    digest: str
    references: tuple[str, ...] = ()
    artifact: int | None = None


@dataclass(frozen=True)
class InputArtifact:
    """Something that an earlier step of this run made, or took over from an earlier run."""

    id: int
    path: Path  # absolute
    kind: str
    role: str
    determinant: str
    digest: str
    sop_uid: str
    series_uid: str
    sop_class_uid: str


@dataclass(frozen=True)
class Made:
    """An output of a step: a file in its work folder."""

    kind: str
    role: str
    path: Path  # absolute, inside the work folder
    determinant: str
    sop_uid: str = ""
    series_uid: str = ""
    sop_class_uid: str = ""


@dataclass(frozen=True)
class Order:
    """What a step wants delivered.

    Attributes:
        nodes: names; empty means the route's destinations.
        what: artifacts, received instances, or both.
        kinds: of artifacts; empty means all.
        verified: after ``deidentify`` the only artifacts that may leave, by id, with the digests
            that they had when they were searched; None where nothing was de-identified.
    """

    nodes: tuple[str, ...]
    what: Literal["derived", "originals", "all"]
    kinds: tuple[str, ...]
    verified: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Deidentified:
    """What a step after ``deidentify`` knows of it.

    Attributes:
        project: its name.
        domain: what the artifacts of this run bear from here on, see `identity`.
        study_uid: new Study Instance UID.
        references: series that de-identified instances name, by SOP Instance UID.
        made_at: date and time for what is written now, moved as the patient's dates are.
        determinant: of what ``deidentify`` made itself.
        excused: elements that a site's own rule keeps, by path, for each SOP Instance UID of what
            ``deidentify`` made itself.
        guard: for the private pipe of the search.
    """

    project: str
    domain: str
    study_uid: str
    references: Mapping[str, tuple[str, ...]]
    made_at: datetime
    determinant: str = ""
    excused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guard: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Request:
    """What a step asks of its child process.

    Attributes:
        values: JSON values; they are in a file while the child works.
        private: what must not be in a file; the target takes it as its third argument. None: it
            takes two.
    """

    values: Call
    private: bytes | None = field(repr=False)


@dataclass(frozen=True)
class StepContext:
    """What a step may know.

    Attributes:
        instances: of the revision, narrowed by earlier ``select`` steps; after ``deidentify`` the
            de-identified ones, and never the others.
        artifacts: of this run that no later step has made something of.
        known: determinants of artifacts that exist and need not be made anew.
        made_at: date and time for everything that is written.
        work_dir: empty folder for outputs; its content is kept when the step is done.
        earlier: parameters of the steps before this one, as (name, parameters).
        received: every received file of the revision, whatever ``select`` leaves of it; for
            ``deidentify`` and ``deliver`` alone, who have to know whose study it is.
        deidentified: after ``deidentify``, what is to be known of it.
    """

    study_uid: str
    instances: Sequence[InputInstance]
    artifacts: Sequence[InputArtifact]
    known: frozenset[str]
    made_at: datetime
    work_dir: Path
    earlier: Sequence[tuple[str, Mapping[str, Any]]] = ()
    received: Sequence[Path] = ()
    deidentified: Deidentified | None = None

    @property
    def domain(self) -> str:
        """Of the artifacts that steps see and make here; empty before ``deidentify``."""
        return self.deidentified.domain if self.deidentified else ""


@dataclass(frozen=True)
class StepResult:
    """What came of a step.

    Attributes:
        made: new outputs.
        reused: determinants of known artifacts that stand for outputs.
        consumed: ids of artifacts that the outputs replace.
        series_uids: the series that later steps see; None leaves them as they are.
        message: one sentence for people.
        data: for the run's report.
        is_last: nothing to do for this study: the steps that follow are skipped.
        order: what is to be delivered.
        domain: of the outputs, where it is another than the step's own.
    """

    made: tuple[Made, ...] = ()
    reused: frozenset[str] = frozenset()
    consumed: frozenset[int] = frozenset()
    series_uids: tuple[str, ...] | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    is_last: bool = False
    order: Order | None = None
    domain: str = ""


class Step(ABC):
    """One step. `prepare` asks, the target does the work in a child process, `finish` reads.

    A step without work for a child answers with a `StepResult` from `prepare`.

    Attributes:
        name: as pipelines call it.
        version: changes whenever the same input gives other output than before.
        target: ``module:function`` for `isocenter.core.isolation.run_isolated`.
        parameters: their model.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    target: ClassVar[str] = ""
    parameters: ClassVar[type[StepParameters]]
    needs: ClassVar[tuple[str, ...]] = ()  # steps of which one has to come before
    makes: ClassVar[tuple[str, ...]] = ()  # kinds of artifacts

    @abstractmethod
    def prepare(self, context: StepContext, parameters: Any) -> Call | Request | StepResult:
        """The request for the child, as JSON values, or the result where there is no work."""

    def finish(self, context: StepContext, parameters: Any, answer: Call) -> StepResult:
        """What the child's answer means."""
        raise NotImplementedError(f"step {self.name} has no work for a child process")


def missing(policy: OnMissing, reason: str) -> StepResult:
    """What to do when something that a step wants is not there.

    Raises:
        StepRefused: the policy is ``quarantine``.
    """
    if policy == "quarantine":
        raise StepRefused(reason)
    return StepResult(message=reason, is_last=policy == "skip", data={"missing": reason})
