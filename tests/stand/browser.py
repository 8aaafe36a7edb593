"""A person in front of a site: pages in the system's Chromium, watched while they are used."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DESKTOP = {"width": 1440, "height": 900}
TABLET = {"width": 834, "height": 1112}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 45_000
AXE_PLACES = (
    "src/isocenter/apps/web/static/vendor/axe-core/axe.min.js",
    "frontend/node_modules/axe-core/axe.min.js",
)
GRAVE = ("serious", "critical")
# Says which element holds the focus and whether anything shows it.
FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const s = getComputedStyle(e), box = e.getBoundingClientRect();
  const ring = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0)
    || s.boxShadow !== 'none' || e.matches('[type=checkbox],[type=radio],[type=file]');
  return {text: (e.innerText || e.value || e.getAttribute('aria-label') || e.name || '').trim(),
    tag: e.tagName.toLowerCase(), name: e.getAttribute('name') || '', href: e.getAttribute('href'),
    visible: box.width > 0 && box.height > 0, ring};
}"""
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width + 1) return [];
  const found = [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    let parent = e.parentElement;
    for (; parent && parent !== document.body; parent = parent.parentElement)
      if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(parent).overflowX))
        return false;
    return box.width && box.right > width + 1;
  }).slice(0, 5).map(e => e.outerHTML.slice(0, 160));
  return found.length ? found : [`${document.documentElement.scrollWidth} px of ${width}`];
}"""


def axe_source() -> str:
    """The source of axe-core; empty where the assets have not been made."""
    root = Path(__file__).resolve().parents[2]
    found = next((root / place for place in AXE_PLACES if (root / place).exists()), None)
    return found.read_text(encoding="utf-8") if found else ""


class Site:
    """A running platform with seeds.

    Args:
        platform: a `Platform` that is ready.
        browser: Playwright's.
        seeds: what the seed printed.
    """

    def __init__(self, platform: Any, browser: Any, seeds: dict[str, Any]) -> None:
        self.platform = platform
        self.browser = browser
        self.seeds = seeds
        self._signed_in: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.platform.http_port}"

    def cookies_of(self, role: str) -> Any:
        """The session of the person with this role; signs in once."""
        if role not in self._signed_in:
            context = self.browser.new_context()
            page = context.new_page()
            sign_in(page, self.address, self.seeds["users"][role], self.seeds["password"])
            self._signed_in[role] = context.storage_state()
            context.close()
        return self._signed_in[role]

    def forget(self, role: str) -> None:
        """Its session is over; the next page signs in anew."""
        self._signed_in.pop(role, None)

    def wait_for_studies(self, study_uids: list[str], timeout_s: float = 180) -> None:
        """Until these are complete."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            rows = self.platform.json("studies", "list", "--limit", "500")
            complete = {row["study_uid"] for row in rows if row["state"] == "complete"}
            if set(study_uids) <= complete:
                return
            time.sleep(0.5)
        raise AssertionError(f"not complete: {set(study_uids) - complete}")

    def close(self) -> None:
        self._signed_in.clear()


def sign_in(page: Any, address: str, username: str, password: str) -> None:
    """As a person does it; the page that follows is there when this returns."""
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{address}/sign-in/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in/" not in url, timeout=WAIT_MS)


class AsPerson:
    """One browser window of one person; remembers what went wrong in it."""

    def __init__(self, site: Site, role: str | None, size: dict[str, int], scheme: str) -> None:
        self.site = site
        options = {"storage_state": site.cookies_of(role)} if role else {}
        self.context = site.browser.new_context(
            viewport=size,
            color_scheme=scheme,
            base_url=site.address,
            reduced_motion="reduce",
            bypass_csp=False,
            **options,
        )
        self.context.set_default_timeout(WAIT_MS)
        self.problems: list[str] = []
        self.expected: list[re.Pattern[str]] = []
        self.page = self.context.new_page()
        self._watch(self.page)

    def _watch(self, page: Any) -> None:
        def on_console(message: Any) -> None:
            if message.type in ("error", "warning"):
                self.problems.append(f"console {message.type}: {message.text}")

        def on_response(response: Any) -> None:
            if response.status >= 400:
                self.problems.append(f"HTTP {response.status}: {response.url}")

        def on_failed(request: Any) -> None:
            # What a click elsewhere, or a finished test, cut off has not failed.
            if "ERR_ABORTED" not in (request.failure or ""):
                self.problems.append(f"failed: {request.url} {request.failure}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("response", on_response)
        page.on("requestfailed", on_failed)

    @contextlib.contextmanager
    def expecting(self, *patterns: str) -> Iterator[None]:
        """Problems that match a pattern are part of the test."""
        before = len(self.problems)
        yield
        self.page.wait_for_timeout(50)
        new = self.problems[before:]
        self.problems[before:] = [
            problem for problem in new if not any(re.search(p, problem) for p in patterns)
        ]

    # -- looking -------------------------------------------------------------------------------

    def go(self, path: str) -> Any:
        """Open a page; the page."""
        self.page.goto(path, wait_until="load")
        return self.page

    def text(self) -> str:
        """What is on the page."""
        return str(self.page.inner_text("body"))

    def assert_fits(self) -> None:
        """Nothing sticks out at the right: the page never scrolls sideways."""
        assert not (found := self.page.evaluate(OVERFLOW)), f"{self.page.url} sticks out: {found}"

    def grave_findings(self) -> list[str]:
        """What axe-core calls serious or critical on this page."""
        source = axe_source()
        assert source, f"axe-core is in none of {AXE_PLACES} (make setup)"
        self.page.evaluate(source)
        found = self.page.evaluate(
            "() => axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)"
        )
        return [
            f"{item['id']} ({item['impact']}): {item['help']}: "
            + "; ".join(json.dumps(node["html"][:200]) for node in item["nodes"][:3])
            for item in found
            if item["impact"] in GRAVE
        ]

    # -- keyboard ------------------------------------------------------------------------------

    def focus(self) -> dict[str, Any]:
        """The element that has the focus; it must be seen to have it."""
        found = self.page.evaluate(FOCUS)
        if found is None:
            return {}
        assert found["visible"], f"the focus is on something that is not there: {found}"
        assert found["ring"], f"nothing shows the focus: {found}"
        return dict(found)

    def tab_to(self, wanted: str, *, most: int = 120, key: str = "Tab") -> dict[str, Any]:
        """Press Tab until the focus is on something whose text, name or address matches."""
        seen = []
        for _ in range(most):
            self.page.keyboard.press(key)
            found = self.focus()
            fields = (found.get("text"), found.get("name"), found.get("href"))
            if any(re.search(wanted, field or "", re.IGNORECASE) for field in fields):
                return found
            seen.append(found.get("text") or found.get("name") or found.get("tag"))
        raise AssertionError(f"Tab never came to {wanted!r}; it went by {seen}")

    # -- end -----------------------------------------------------------------------------------

    def close(self) -> None:
        self.context.close()

    def assert_quiet(self) -> None:
        """No error in the console, no request that failed, no broken policy."""
        assert not self.problems, "\n".join(self.problems)
