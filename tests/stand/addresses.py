"""Every page, by what it is called in tests and in file names of screenshots."""

from __future__ import annotations

from typing import Any

from stand import odd_studies


def page_addresses(seeds: dict[str, Any]) -> dict[str, str]:
    """Name → path of every page that an administrator can open."""
    studies, runs, items = seeds["studies"], seeds["runs"], seeds["quarantine"]
    return {
        "worklist": "/",
        "study": f"/studies/{studies['complete']}/",
        "study-waiting": f"/studies/{studies['waiting']}/",
        "study-held": f"/studies/{studies['held']}/",
        "study-long-names": f"/studies/{odd_studies.by_key('long').study_uid}/",
        "study-right-to-left": f"/studies/{odd_studies.by_key('arabic').study_uid}/",
        "study-200-series": f"/studies/{odd_studies.MANY_SERIES_UID}/",
        "uploads": "/uploads/",
        "runs": "/runs/",
        **{f"run-{state}": f"/runs/{key}/" for state, key in runs.items()},
        "routes": "/routes/",
        "route": "/routes/overlay/",
        "route-new": "/routes/new/",
        "pipelines": "/pipelines/",
        "pipeline": "/pipelines/overlay/",
        "nodes": "/nodes/",
        "node": "/nodes/archive-node/",
        "node-new": "/nodes/new/",
        "projects": "/projects/",
        "project": "/projects/lung-trial/",
        "project-new": "/projects/new/",
        "project-patients": "/projects/lung-trial/patients/",
        "project-history": "/projects/lung-trial/history/",
        "project-look-up": "/projects/lung-trial/look-up/",
        "quarantine": "/quarantine/",
        "quarantine-run": f"/quarantine/{items['run']}/",
        "quarantine-instance": f"/quarantine/{items['instance-held']}/",
        "quarantine-delivery": f"/quarantine/{items['delivery']}/",
        "events": "/events/",
        "settings": "/settings/",
        "people": "/people/",
        "person": "/people/physician-1/",
        "groups": "/groups/",
        "group": "/groups/Radiotherapy research/",
        "system": "/system/",
        "account": "/account/",
        "api-docs": "/api/v1/docs",
    }


#: Lists of an installation in which nothing has happened yet.
EMPTY = (
    "/", "/runs/", "/routes/", "/pipelines/", "/nodes/", "/projects/", "/quarantine/", "/events/",
    "/uploads/", "/groups/", "/people/", "/settings/", "/system/", "/account/",
)  # fmt: skip
