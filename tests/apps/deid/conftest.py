"""Projects of de-identification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isocenter.apps.deid import services
from isocenter.apps.deid.models import Project

MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(db: None) -> MakeProject:
    """A project: ``make_project("trial", dates="shift")``."""

    def make(name: str = "trial", **values: Any) -> Project:
        return services.create_project(name, services.read_document(values), actor="ann")

    return make
