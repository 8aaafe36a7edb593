"""The administrator of a new installation: told once, on the terminal, and nowhere else."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.parse
import urllib.request


def test_the_password_is_printed_once_and_opens_the_first_page(platform):
    started = platform(config={"workers": {"processes": 0}})
    told = re.findall(r"^Sign in   as admin with the password (\S+)$", started.output(), re.M)
    (password,) = told

    kept = [path for path in started.data_dir.rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert [path for path in kept if password.encode() in path.read_bytes()] == []

    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    base = f"http://127.0.0.1:{started.http_port}"
    page = browser.open(f"{base}/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    given = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    data = urllib.parse.urlencode(given).encode()
    answer = browser.open(urllib.request.Request(f"{base}/sign-in/", data, {"Origin": base}))
    assert answer.url == f"{base}/account/password/?next=%2F"

    started.restart()
    assert started.output().count("Sign in   as") == 1, "told again"
    result = started.cli("user", "password", "admin", "--json")
    assert result.returncode == 0, result.stderr
    assert password not in result.stdout


def test_a_database_without_the_platform_gets_one_too(platform):
    prepared = platform(start=False)
    try:
        assert "Sign in   as admin" in prepared.cli("db", "start").stdout
        assert "Sign in" not in prepared.cli("db", "migrate").stdout
    finally:
        prepared.cli("db", "stop")
