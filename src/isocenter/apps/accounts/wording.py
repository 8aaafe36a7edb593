"""Roles and rights in a few words; pages and the guide say the same."""

from __future__ import annotations

from isocenter.apps.accounts.rights import Right

ROLE_TEXTS: dict[str, str] = {
    "administrator": "everything",
    "staff": "runs the gateway; no people, no settings, no deletion, no re-identification",
    "physician": "reads, sends, runs, signs",
    "researcher": "works on studies without seeing whose they are",
    "student": "looks, without seeing whose they are",
    "service": "a program; signs in by tokens alone",
}

RIGHT_TEXTS: dict[Right, str] = {
    Right.VIEW: "see studies, images, runs and results",
    Right.VIEW_IDENTIFIED: "see whose studies they are",
    Right.UPLOAD: "import studies",
    Right.DOWNLOAD: "download studies and results",
    Right.RUN: "start, retry, cancel and prioritise runs; complete studies",
    Right.TRANSFER: "send to nodes and fetch from them",
    Right.TRANSFER_IDENTIFIED: "send without pseudonyms",
    Right.QUARANTINE: "retry, release and export what is held",
    Right.DELETE: "delete and protect studies, delete what is held",
    Right.SIGN: "sign reports",
    Right.VIEW_EVENTS: "see and export events",
    Right.MANAGE_ROUTES: "change routes and pipelines",
    Right.MANAGE_NODES: "change nodes",
    Right.MANAGE_PROJECTS: "change projects of de-identification, import pseudonyms",
    Right.REIDENTIFY: "look up whose a pseudonym is, take out pseudonyms and secrets",
    Right.MANAGE_PEOPLE: "manage people and groups",
    Right.MANAGE_SYSTEM: "see the system and its settings",
}
