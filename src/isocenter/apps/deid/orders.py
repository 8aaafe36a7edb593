"""What a run needs of a project, in the process that has the database."""

from __future__ import annotations

from dataclasses import dataclass, field

from isocenter.apps.deid.documents import policy_of
from isocenter.apps.deid.pseudonyms import pseudonyms_of
from isocenter.apps.deid.queries import document_of, project
from isocenter.apps.deid.sealing import Sealer
from isocenter.apps.deid.store import DatabaseStore
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.pseudonyms.issuing import Pseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret


@dataclass(frozen=True)
class ProjectOrder:
    """A project, opened.

    Attributes:
        pseudonyms: asked for an alias, it may issue one and keep it; needs the database.
        words: that texts may keep, folded.
        whole_studies: one refused object holds its study back.
        version: of the document; a name never has one twice, whatever became of its project.
    """

    name: str
    version: int
    policy: Policy
    secret: Secret
    pseudonyms: Pseudonyms = field(repr=False)
    words: tuple[str, ...]
    whole_studies: bool


def order_for(name: str) -> ProjectOrder:
    """What a run needs of a project.

    Raises:
        NotFound: there is none.
        ProjectProblems: its document cannot be used any more.
        ConfigurationError: its secret cannot be opened.
    """
    sealer = Sealer()
    found = project(name)
    document = document_of(found)
    policy = policy_of(document)
    secret = sealer.open_secret(found)
    store = DatabaseStore(found, secret, first=document.pseudonyms.first)
    return ProjectOrder(
        name=found.name,
        version=found.version,
        policy=policy,
        secret=secret,
        pseudonyms=pseudonyms_of(document, policy, secret, store),
        words=document.folded_words(),
        whole_studies=document.whole_studies,
    )
