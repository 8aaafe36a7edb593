"""Fixtures that every room of the tests shares."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_configuration

from isocenter.runtime.layout import Layout
from isocenter.runtime.postgres import EmbeddedPostgres
from isocenter.runtime.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this file

if TYPE_CHECKING:
    from platform_under_test import Platform

# No test may read or write the installation of the machine it runs on.
for _name in [name for name in os.environ if name.startswith("ISOCENTER_")]:
    del os.environ[_name]
_HOME = Path(tempfile.mkdtemp(prefix="isocenter-tests-"))
os.environ["ISOCENTER_DATA_DIR"] = str(_HOME)
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
django_configuration.ISOCENTER = Settings(data_dir=_HOME)
django_configuration.LAYOUT = Layout(_HOME)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Where peers are required, a test that is skipped for want of one has failed."""
    from required_peers import VARIABLE, are_required, is_missing_peer

    outcome = yield
    report = outcome.get_result()
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2]
    if is_missing_peer(reason) and are_required(os.environ):
        report.outcome = "failed"
        report.longrepr = f"{reason}: required here, see make peers ({VARIABLE}=0 skips it)"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``: our order of the files."""
    from units_of_work import LongestFirst

    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "EXPECTED.md").exists():
        pytest.skip(f"no reference data in {folder}")
    return folder


def _folder_until_done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A new folder; removed when its tests are done, unless a test failed and it may say why."""
    folder = tmp_path_factory.mktemp(request.scope)
    yield folder
    if not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)


module_folder = pytest.fixture(scope="module", name="module_folder")(_folder_until_done)
package_folder = pytest.fixture(scope="package", name="package_folder")(_folder_until_done)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL for this session, started by the first test that asks for it."""
    server = EmbeddedPostgres(Layout(tmp_path_factory.mktemp("postgres")), durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, postgres: EmbeddedPostgres
) -> None:
    """Tells Django where this session's database is (pytest-django asks before it makes one)."""
    from django.db import connections

    address = postgres.address
    database: dict[str, Any] = {
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": str(address.port),
    }
    connections["default"].settings_dict.update(database)
    django_configuration.DATABASES["default"].update(database)
    _empty_append_only_tables()
    _install_anew_after_each_flush()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The database; before it goes, what questions of DICOM nodes keep open is closed."""
    yield
    if (database := sys.modules.get("isocenter.apps.dimse.database")) is not None:
        database.close_idle()


def _empty_append_only_tables() -> None:
    """The audit's triggers refuse TRUNCATE; between two tests it has to be done all the same."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    from append_only import unguarded

    flush = DatabaseOperations.sql_flush

    def sql_flush(self: Any, *arguments: Any, **options: Any) -> list[str]:
        # Django does not know the tables of the queue.
        return [*unguarded(*flush(self, *arguments, **options)), "DELETE FROM procrastinate_jobs"]

    DatabaseOperations.sql_flush = sql_flush


def _install_anew_after_each_flush() -> None:
    """What migrations write is there in every test, whatever test was before it."""
    from importlib import import_module

    from django.apps import apps
    from django.db.models.signals import post_migrate

    shipped = import_module("isocenter.apps.routing.migrations.0002_shipped_route")

    def install(**_: Any) -> None:
        shipped.install(apps, None)

    post_migrate.connect(install, apps.get_app_config("routing"), weak=False)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Layout]:
    """An empty data directory that ``settings.LAYOUT`` and ``settings.ISOCENTER`` point to."""
    layout = Layout(tmp_path / "data")
    layout.create()
    before = django_configuration.ISOCENTER, django_configuration.LAYOUT
    django_configuration.ISOCENTER = Settings(data_dir=layout.root)
    django_configuration.LAYOUT = layout
    yield layout
    if (uploads := sys.modules.get("isocenter.apps.archive.uploads")) is not None:
        uploads.close_spool()
    django_configuration.ISOCENTER, django_configuration.LAYOUT = before


@pytest.fixture(autouse=True)
def _own_installation(request: pytest.FixtureRequest) -> None:
    """Tests with a database get a data directory of their own too."""
    if {"db", "transactional_db"} & set(request.fixturenames):
        request.getfixturevalue("installation")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Starts whole platforms: ``platform(config={...}, start=True, name="platform")``.

    Each has its own data directory, free ports and short times. When the test ends they are
    stopped, and nothing of them may be left.
    """
    from platform_under_test import Platform

    made: list[Platform] = []

    def make(
        config: Mapping[str, Any] | None = None,
        *arguments: str,
        start: bool = True,
        name: str = "platform",
    ) -> Platform:
        made.append(Platform(tmp_path / name, config, arguments))
        return made[-1].start() if start else made[-1]

    yield make
    for each in made:
        each.end()
