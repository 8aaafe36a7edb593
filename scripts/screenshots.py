"""Pictures of the pages for the docs, from made-up studies only.

    python scripts/screenshots.py [--out docs/images/pages] [--every FOLDER]

Starts a platform of its own in a temporary folder, gives it the synthetic head, odd names and
every state, and looks at it with the system's Chromium. ``--every`` makes a picture of each page
at both widths and in both themes instead, for looking through after a change.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from isocenter.core.phantoms import head_phantom  # noqa: E402
from platform_under_test import Platform  # noqa: E402
from stand import odd_studies  # noqa: E402
from stand.addresses import page_addresses  # noqa: E402
from stand.browser import DESKTOP, TABLET, AsPerson, Site  # noqa: E402

SETTINGS = {
    "completion": {"debounce_s": 2, "min_instances": 1, "force_complete_s": 3600},
    "workers": {"processes": 1, "runs": 1, "deliveries": 2},
}
MOST_BYTES = 200_000
WAIT_S = 180
LOOKS = (("desktop-light", DESKTOP, "light"), ("tablet-dark", TABLET, "dark"))


@dataclass(frozen=True)
class Picture:
    """One picture in the docs.

    Attributes:
        name: of the file.
        page: a name in `page_addresses`, or a path.
    """

    name: str
    page: str
    size: dict[str, int] = field(default_factory=lambda: DESKTOP)
    scheme: str = "light"
    role: str | None = "administrator"


PICTURES = (
    Picture("sign-in", "/sign-in/", role=None),
    Picture("worklist", "worklist"),
    Picture("worklist-dark", "worklist", scheme="dark"),
    Picture("worklist-tablet", "worklist", TABLET),
    Picture("study", "study-demo"),
    Picture("study-tablet-dark", "study-demo", TABLET, "dark"),
    Picture("study-waiting", "study-waiting"),
    Picture("study-hidden-identity", "study-long-names", role="student"),
    Picture("study-200-series", "study-200-series"),
    Picture("uploads", "uploads"),
    Picture("runs", "runs"),
    Picture("run", "run-demo"),
    Picture("run-failed", "run-failed"),
    Picture("routes", "routes"),
    Picture("route", "route"),
    Picture("pipeline", "pipeline"),
    Picture("nodes", "nodes"),
    Picture("node", "node"),
    Picture("projects", "projects"),
    Picture("project", "project"),
    Picture("project-patients", "project-patients"),
    Picture("quarantine", "quarantine"),
    Picture("quarantine-item", "quarantine-run"),
    Picture("events", "events"),
    Picture("settings", "settings"),
    Picture("people", "people"),
    Picture("group", "group"),
    Picture("account", "account"),
    Picture("system", "system"),
)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A platform with everything that there is to see."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        raise SystemExit("Chromium is not installed (make peers)")
    platform = Platform(folder / "platform", SETTINGS)
    platform.start()
    try:
        seeds = seed(platform)
        demo = head_phantom("demo")
        demo.write(folder / "demo")
        odd_studies.write_odd_studies(folder / "odd")
        odd_studies.write_many_series(folder / "many")
        platform.cli("import", folder / "odd", folder / "many", folder / "demo")
        seeds["studies"]["demo"] = demo.study_uid
        seeds["runs"]["demo"] = wait_for_run(platform, demo.study_uid)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
            yield Site(platform, browser, seeds)
            browser.close()
    finally:
        platform.end()


def seed(platform: Platform) -> dict[str, Any]:
    """Rows for every state."""
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "stand" / "seed.py"),
            str(platform.data_dir),
            "people",
            "states",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def wait_for_run(platform: Platform, study_uid: str) -> str:
    """The run on this study, when it and its deliveries are done."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for run in platform.json("runs", "list"):
            if run["study_uid"] == study_uid and run["state"] in ("done", "failed"):
                time.sleep(5)  # thumbnails and deliveries
                return str(run["id"])
        time.sleep(1)
    raise SystemExit(f"the demonstration's run did not end\n{platform.output()}")


def addresses(started: Site) -> dict[str, str]:
    studies = started.seeds["studies"]
    return page_addresses(started.seeds) | {"study-demo": f"/studies/{studies['demo']}/"}


def take(started: Site, picture: Picture, out: Path, *, whole: bool = False) -> None:
    """Open the page and keep what is seen."""
    someone = AsPerson(started, picture.role, picture.size, picture.scheme)
    try:
        path = addresses(started).get(picture.page, picture.page)
        page = someone.go(path)
        page.wait_for_timeout(700)  # what loads after the page: parts, pictures, fonts
        shot = page.screenshot(full_page=whole)
        size = save(shot, out / f"{picture.name}.png")
        sticks_out = []
        try:
            someone.assert_fits()
        except AssertionError as error:
            sticks_out = [str(error)]
        notes = [*someone.problems, *sticks_out]
        print(f"{picture.name}: {size // 1000} kB" + "".join(f"\n    {note}" for note in notes))
    finally:
        someone.close()


def save(png: bytes, path: Path) -> int:
    """Keep it small: as few colours as needed; its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    return path.stat().st_size


def every(started: Site) -> list[Picture]:
    """Each page at both widths and in both themes."""
    names = [*addresses(started), "/sign-in/", "/register/", "/no-such-page/"]
    return [
        Picture(f"{name.strip('/')}-{label}", name, size, scheme, role)
        for name in names
        for label, size, scheme in LOOKS
        for role in [None if name in ("/sign-in/", "/register/") else "administrator"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "pages")
    parser.add_argument("--every", type=Path, default=None, help="all pages, all widths, to here")
    parser.add_argument("--only", nargs="*", help="names that begin so")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="isocenter-pictures-") as name,
        site(Path(name)) as started,
    ):
        out = options.every or options.out
        for picture in every(started) if options.every else PICTURES:
            if not options.only or picture.name.startswith(tuple(options.only)):
                take(started, picture, out, whole=bool(options.every))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
