"""What a node needs, field by field."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from isocenter.apps.transfers.checking import problems_of
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings

GOOD = {"name": "pacs", "kind": "dimse", "ae_title": "PACS", "host": "pacs.example", "port": 104}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "new"}, "name"),
        ({"name": "return-to-sender"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"kind": "web"}, "kind"),
        ({"ae_title": ""}, "ae_title"),
        ({"ae_title": "   "}, "ae_title"),
        ({"ae_title": "SEVENTEEN_LETTERS"}, "ae_title"),
        ({"ae_title": "BACK\\SLASH"}, "ae_title"),
        ({"ae_title": "TAB\tTED"}, "ae_title"),
        ({"ae_title": "KÖLN"}, "ae_title"),
        ({"calling_ae_title": "A\\B"}, "calling_ae_title"),
        ({"host": ""}, "host"),
        ({"host": "http://pacs"}, "host"),
        ({"host": "pacs:104"}, "host"),
        ({"host": "a..b"}, "host"),
        ({"host": "-pacs"}, "host"),
        ({"host": "x" * 64}, "host"),
        ({"port": None}, "port"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"max_associations": 0}, "max_associations"),
        ({"max_associations": 65}, "max_associations"),
        ({"rate_mb_s": 0.01}, "rate_mb_s"),
        ({"rate_mb_s": float("nan")}, "rate_mb_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"tls": {"ca": "/nowhere/ca.pem"}}, "tls.ca"),
        ({"tls": {"ca": "\x00"}}, "tls.ca"),
        ({"tls": {"key": "/nowhere/key.pem"}}, "tls.key"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    installation: Layout, changes: dict[str, Any], field: str
) -> None:
    assert field in problems_of({**GOOD, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "::1"},
        {"host": "pacs"},
        {"ae_title": "A B"},
        {"ae_title": "SIXTEEN_LETTERS_"},
        {"max_associations": 64, "rate_mb_s": 0.1, "timeout_s": 30},
        {"tls": {"ca": "", "certificate": "", "key": "", "verify": True}},
    ],
)
def test_what_is_fine(installation: Layout, changes: dict[str, Any]) -> None:
    assert problems_of({**GOOD, **changes}) == {}


def test_files_of_tls_must_be_such(installation: Layout, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no PEM")
    assert set(problems_of({**GOOD, "tls": {"ca": str(text)}})) == {"tls.ca"}
    assert set(problems_of({**GOOD, "tls": {"certificate": str(text)}})) == {"tls.certificate"}


def test_errors_of_tls_show_nothing_of_a_file(installation: Layout, tmp_path: Path) -> None:
    """A node is no way to learn what is on the server's disk."""
    secret = tmp_path / "shadow"
    secret.write_text("-----BEGIN CERTIFICATE-----\nroot:$6$ZZMARK\n-----END CERTIFICATE-----\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for key in ("ca", "certificate"):
        text = str(problems_of({**GOOD, "tls": {key: str(secret)}}))
        assert "PEM" in text
        assert "ZZMARK" not in text
        assert "_ssl" not in text
        gone = problems_of({**GOOD, "tls": {key: str(tmp_path / "gone")}})
        assert gone == problems_of({**GOOD, "tls": {key: str(pipe)}})
        assert gone == problems_of({**GOOD, "tls": {key: str(tmp_path)}})


@pytest.mark.parametrize(
    "folder",
    [
        *("/", "/etc/cron.d", "/proc/self", "/sys/x", "/dev/shm/x", "/boot", "/usr/local/x"),
        *("/bin", "/sbin/x", "/lib/x", "/lib64", "/root/.ssh", "/srv/../etc/x", "~/.config/x"),
    ],
)
def test_folders_of_the_system_are_no_nodes(installation: Layout, folder: str) -> None:
    found = problems_of({"name": "out", "kind": "folder", "folder": folder})
    assert "choose another" in found["folder"]


def test_folder_nodes_lie_below_the_roots_that_are_set(
    installation: Layout, settings: Any, tmp_path: Path
) -> None:
    ours = settings.ISOCENTER
    out = tmp_path / "out"
    settings.ISOCENTER = Settings(data_dir=ours.data_dir, nodes={"folder_roots": [out, "/srv"]})

    def problem(folder: Path) -> str:
        values = {"name": "out", "kind": "folder", "folder": str(folder)}
        return problems_of(values).get("folder", "")

    assert problem(out) == ""
    assert problem(out / "ct") == ""
    assert "nodes.folder_roots" in problem(tmp_path)
    assert "nodes.folder_roots" in problem(tmp_path / "outside")
    assert "nodes.folder_roots" in problem(out / ".." / "else")
    out.mkdir()
    (out / "link").symlink_to(tmp_path)
    assert "nodes.folder_roots" in problem(out / "link" / "x")


def test_folders(installation: Layout, tmp_path: Path) -> None:
    def problem(folder: str) -> str:
        values = {"name": "out", "kind": "folder", "folder": folder}
        return problems_of(values).get("folder", "")

    file = tmp_path / "file"
    file.write_text("")
    assert problem(str(tmp_path / "new" / "below")) == ""
    assert not (tmp_path / "new").exists()
    assert "absolute" in problem("relative")
    assert "absolute" in problem("")
    assert "is a file" in problem(str(file))
    assert "data directory" in problem(str(installation.root))
    assert "data directory" in problem(str(installation.root / "archive" / "x"))
    assert problem("/proc/\x00")
    assert problem("~nobody-of-this-name/x")
