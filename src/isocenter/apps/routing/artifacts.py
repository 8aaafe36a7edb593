"""What steps made: which of it counts, which is used again, which is superseded."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Q, QuerySet

from isocenter.apps.routing.files import file_digest
from isocenter.apps.routing.models import Artifact, ArtifactUse, Run, RunStep
from isocenter.apps.routing.steps.base import InputArtifact, Made, StepResult
from isocenter.core.errors import PipelineError


def absolute(artifact: Artifact) -> Path:
    """Where an artifact's file is."""
    return Path(settings.LAYOUT.runs, artifact.path)


def outputs_of(run: Run) -> QuerySet[Artifact]:
    """What a run has made or taken over and no later step of it has replaced."""
    uses = ArtifactUse.objects.filter(step__run=run, consumed_by__isnull=True)
    return Artifact.objects.filter(pk__in=uses.values("artifact")).order_by("pk")


def as_inputs(artifacts: Iterable[Artifact]) -> list[InputArtifact]:
    """As steps see them."""
    return [
        InputArtifact(
            id=item.pk,
            path=absolute(item),
            kind=item.kind,
            role=item.role,
            determinant=item.determinant,
            digest=item.digest,
            sop_uid=item.sop_uid,
            series_uid=item.series_uid,
            sop_class_uid=item.sop_class_uid,
        )
        for item in artifacts
    ]


def known_determinants(run: Run, step: RunStep, *, domain: str | None) -> dict[str, list[Artifact]]:
    """What earlier runs (and this one) made in the same step of the same pipeline and study.

    What was made under one identity never stands for what is made under another.

    Args:
        domain: see `identity`; None for ``deidentify`` itself, whose determinants name it.

    Only what is there complete counts: all artifacts of a determinant were registered in one
    transaction, so their files being there is enough.
    """
    found: dict[tuple[str, str], list[Artifact]] = {}
    candidates = Artifact.objects.filter(
        study=run.study, run__pipeline_name=run.pipeline_name, step__name=step.name
    ).order_by("created_at", "pk")
    if domain is not None:
        candidates = candidates.filter(domain=domain)
    for item in candidates:
        found.setdefault((item.determinant, str(item.run_id)), []).append(item)
    return {
        determinant: items
        for (determinant, _), items in found.items()
        if all(_is_whole(item) for item in items)
    }


@dataclass(frozen=True)
class Measured:
    """An output and what was measured on its file."""

    made: Made
    inside: str  # path inside the step's folder
    size: int
    digest: str


def measure(made: Iterable[Made], folder: Path) -> list[Measured]:
    """Size and digest of outputs, which must lie in the step's folder.

    Raises:
        PipelineError: a step names a file that is not there or not its own.
    """
    measured = []
    for item in made:
        if not item.path.is_file() or not item.path.resolve().is_relative_to(folder.resolve()):
            raise PipelineError(f"{item.path} is named as an output, but is none of the step's")
        inside = str(item.path.resolve().relative_to(folder.resolve()))
        measured.append(Measured(item, inside, item.path.stat().st_size, file_digest(item.path)))
    return measured


def register(
    run: Run,
    step: RunStep,
    result: StepResult,
    outputs: Collection[Measured],
    folder: str,
    *,
    domain: str,
) -> None:
    """Write a step's outputs down; called in the transaction in which the step becomes done.

    Args:
        folder: the step's final place, relative to the runs folder.
        domain: of the outputs, see `identity`.
    """
    new = Artifact.objects.bulk_create(
        [
            Artifact(
                run=run,
                step=step,
                study=run.study,
                kind=item.made.kind,
                role=item.made.role[:64],
                determinant=item.made.determinant,
                path=f"{folder}/{item.inside}",
                size=item.size,
                digest=item.digest,
                sop_uid=item.made.sop_uid,
                series_uid=item.made.series_uid,
                sop_class_uid=item.made.sop_class_uid,
                domain=domain,
            )
            for item in outputs
        ]
    )
    known = known_determinants(run, step, domain=domain) if result.reused else {}
    reused = [item for name in sorted(result.reused) for item in known[name]]
    step.outputs.all().delete()
    ArtifactUse.objects.bulk_create(
        [ArtifactUse(step=step, artifact=item) for item in (*new, *reused)]
    )
    ArtifactUse.objects.filter(step__run=run, consumed_by=step).update(consumed_by=None)
    ArtifactUse.objects.filter(step__run=run, artifact__in=result.consumed).exclude(
        step=step
    ).update(consumed_by=step)
    Artifact.objects.filter(pk__in=result.consumed).update(state=Artifact.State.INTERMEDIATE)
    Artifact.objects.filter(pk__in=[item.pk for item in reused]).update(state=Artifact.State.ACTIVE)


def settle(run: Run) -> list[Artifact]:
    """At the end of a run: its outputs count, those of earlier runs that it has not are superseded.

    Returns:
        what became superseded.
    """
    current = set(outputs_of(run).values_list("pk", flat=True))
    used = ArtifactUse.objects.filter(step__run=run).values("artifact")
    same = Artifact.objects.filter(study=run.study, run__pipeline_name=run.pipeline_name)
    if newer_run(run) is not None:
        # A newer revision was faster; what it did not take over is old already.
        kept = outputs_of(newer_run(run) or run).values("pk")
        stale = same.filter(pk__in=current).exclude(pk__in=kept)
    else:
        Artifact.objects.filter(pk__in=current).update(state=Artifact.State.ACTIVE)
        stale = same.exclude(Q(pk__in=current) | Q(pk__in=used)).exclude(
            state=Artifact.State.SUPERSEDED
        )
    superseded = list(stale)
    Artifact.objects.filter(pk__in=[item.pk for item in superseded]).update(
        state=Artifact.State.SUPERSEDED
    )
    return superseded


def newer_run(run: Run, *, of_route: bool = False) -> Run | None:
    """A finished run of the same pipeline on a newer revision of the study.

    Args:
        of_route: only of the same route; another one sends to other places.
    """
    newer = Run.objects.filter(
        study=run.study,
        pipeline_name=run.pipeline_name,
        state=Run.State.DONE,
        revision__number__gt=run.revision.number,
    )
    if of_route:
        newer = newer.filter(route_name=run.route_name)
    return newer.order_by("-revision__number", "-finished_at").first()


def _is_whole(artifact: Artifact) -> bool:
    try:
        return absolute(artifact).stat().st_size == artifact.size
    except OSError:
        return False
