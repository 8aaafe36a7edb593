"""The planted-identity set, made once for a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from deid_proof.generate import PlantedSet, generate


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PlantedSet:
    """The whole set."""
    return generate(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> PlantedSet:
    """The objects of two patients."""
    return generate(tmp_path_factory.mktemp("few"), persons=2)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for mapping CSVs."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    return folder
