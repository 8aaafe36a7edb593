"""A project's policy in words, as plain values for those who ask from outside."""

from __future__ import annotations

from typing import Any

from isocenter.apps.deid import attribute_words, policy_words
from isocenter.apps.deid.documents import policy_of
from isocenter.apps.deid.fates import Outcome
from isocenter.apps.deid.models import Project
from isocenter.apps.deid.queries import document_of, pipelines_of, project_row


def project_in_full(project: Project) -> dict[str, Any]:
    """A project with its document, what it means, and who uses it."""
    document = document_of(project)
    row = project_row(project.name)
    return {
        "name": project.name,
        "description": project.description,
        "version": project.version,
        "document": document.model_dump(mode="json"),
        "summary": row.summary,
        "in_words": _summary(policy_words.summary(document)),
        "patients": row.patients,
        "legacy": row.legacy,
        "pipelines": pipelines_of(project.name),
        "created_at": project.created_at.isoformat(),
        "created_by": project.created_by,
        "changed_at": project.changed_at.isoformat(),
        "changed_by": project.changed_by,
    }


def attribute_in_words(project: Project, attribute: str) -> dict[str, Any]:
    """What becomes of an attribute in a project."""
    told = attribute_words.told(attribute, policy_of(document_of(project)))
    return {
        "tag": told.tag,
        "keyword": told.keyword,
        "name": told.name,
        "outcomes": [_outcome(one.outcome) | {"kinds": list(one.kinds)} for one in told.outcomes],
        "note": told.note,
        "lines": list(told.lines),
        "suggestions": [one.keyword for one in told.suggestions],
    }


def _summary(summary: policy_words.Summary) -> dict[str, Any]:
    lines = [*summary.stays, *summary.changed, *summary.goes]
    return {
        "topics": [
            {
                "title": line.title,
                "fate": str(line.fate),
                "text": line.text,
                "rule": line.rule,
                "unless": list(line.unless),
            }
            for line in lines
        ],
        "called": summary.called,
        "held": list(summary.held),
        "warnings": list(summary.warnings),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "fate": str(outcome.fate),
        "text": outcome.text,
        "rule": outcome.rule,
        "unless": list(outcome.unless),
    }
