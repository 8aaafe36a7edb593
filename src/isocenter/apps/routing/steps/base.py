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
    """An instance of the study as it was received.

    Attributes:
        path: absolute.
        digest: SHA-256 of the data set.
        references: series that it names, for structure sets and the like.
    """

    path: Path
    sop_uid: str
    series_uid: str
    sop_class_uid: str
    modality: str
    digest: str
    references: tuple[str, ...] = ()


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
    """

    nodes: tuple[str, ...]
    what: Literal["derived", "originals", "all"]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class StepContext:
    """What a step may know.

    Attributes:
        instances: of the revision, narrowed by earlier ``select`` steps.
        artifacts: of this run that no later step has made something of.
        known: determinants of artifacts that exist and need not be made anew.
        made_at: date and time for everything that is written.
        work_dir: empty folder for outputs; its content is kept when the step is done.
        earlier: parameters of the steps before this one, as (name, parameters).
    """

    study_uid: str
    instances: Sequence[InputInstance]
    artifacts: Sequence[InputArtifact]
    known: frozenset[str]
    made_at: datetime
    work_dir: Path
    earlier: Sequence[tuple[str, Mapping[str, Any]]] = ()


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
    """

    made: tuple[Made, ...] = ()
    reused: frozenset[str] = frozenset()
    consumed: frozenset[int] = frozenset()
    series_uids: tuple[str, ...] | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    is_last: bool = False
    order: Order | None = None


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
    def prepare(self, context: StepContext, parameters: Any) -> Call | StepResult:
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
