"""Pages as people see them: a real platform, the system's Chromium, one person per role.

After every test the browser's console, its failed requests and broken policies are looked at:
there must be none that the test did not announce.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stand import odd_studies
from stand.browser import DESKTOP, AsPerson, Site

SEED = Path(odd_studies.__file__).with_name("seed.py")
# As short as it goes, but no run of the seeds may be thought dead.
SETTINGS = {
    "completion": {"debounce_s": 1, "min_instances": 1, "force_complete_s": 900},
    "workers": {"processes": 1, "runs": 1, "deliveries": 2},
    "delivery": {"attempts": 2, "first_wait_s": 1, "max_wait_s": 2, "timeout_s": 5},
}


def chromium() -> str:
    """Where the system's Chromium is; empty: nowhere."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), "")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    program = chromium()
    if not program:
        pytest.skip("no Chromium on this machine (make peers)")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def seed(platform: Any, *sections: str) -> dict[str, Any]:
    """Run the seed beside the platform; what it made."""
    done = subprocess.run(
        [sys.executable, str(SEED), str(platform.data_dir), *sections],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@contextmanager
def running(folder: Path, browser: Any, *sections: str) -> Iterator[Site]:
    """A platform with seeds, and the browser that looks at it."""
    from platform_under_test import Platform

    platform = Platform(folder / "platform", SETTINGS)
    try:
        platform.start()
        site = Site(platform, browser, seed(platform, *sections))
        yield site
        site.close()
    finally:
        platform.end()


@pytest.fixture(scope="package")
def site(browser: Any, package_folder: Path) -> Iterator[Site]:
    """A hospital's day: odd names, 200 series, every state. Tests leave it as it was, or make
    something of their own in it."""
    folder = package_folder / "site"
    folder.mkdir()
    odd_studies.write_odd_studies(folder / "odd")
    odd_studies.write_many_series(folder / "many")
    with running(folder, browser, "people", "states") as started:
        started.platform.cli("import", folder / "odd", folder / "many")
        started.wait_for_studies([study.study_uid for study in odd_studies.STUDIES])
        started.wait_for_studies([odd_studies.MANY_SERIES_UID])
        yield started


@pytest.fixture(scope="package")
def empty_site(browser: Any, package_folder: Path) -> Iterator[Site]:
    """An installation of a minute ago: one person, nothing else."""
    with running(package_folder / "empty", browser, "administrator") as started:
        yield started


Person = Callable[..., AsPerson]


@contextmanager
def people_at(site: Site) -> Iterator[Person]:
    opened: list[AsPerson] = []

    def make(
        role: str | None = "administrator",
        size: dict[str, int] = DESKTOP,
        scheme: str = "light",
    ) -> AsPerson:
        opened.append(AsPerson(site, role, size, scheme))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    for one in opened:
        one.assert_quiet()


@pytest.fixture
def person(site: Site) -> Iterator[Person]:
    """``person("staff", TABLET, "dark")``: somebody in front of the site; None: nobody."""
    with people_at(site) as make:
        yield make


@pytest.fixture
def newcomer(empty_site: Site) -> Iterator[Person]:
    """The same in front of the empty installation."""
    with people_at(empty_site) as make:
        yield make
