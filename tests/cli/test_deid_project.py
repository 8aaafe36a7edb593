"""``isocenter deid-project``: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
import stat

import pytest

from isocenter.apps.audit.models import Event
from isocenter.apps.deid import queries, services
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(cli, tmp_path):
    """Calls ``deid-project``; there is ``trial`` with PAT-1."""
    file = tmp_path / "project.yaml"
    file.write_text("dates: shift\npseudonyms: {kind: pattern, site: CH}\ndescription: mine\n")
    code, out, err = cli("deid-project", "create", "trial", "--from", str(file))
    assert (code, out) == (0, "trial is made, version 1\n"), err
    services.order_for("trial").pseudonyms.alias_for(PatientKey("HOSP", "PAT-1"), {})

    def run(*arguments: str, stdin: str = "", expect: int = 0) -> str:
        code, out, err = cli("deid-project", *arguments, stdin=stdin)
        assert code == expect, err
        return out if expect == 0 else out + err

    return run


def test_a_project_without_a_file_is_the_basic_profile(cli):
    assert cli("deid-project", "list")[1].startswith("no projects")
    assert cli("deid-project", "create", "plain")[0] == 0
    assert queries.project_row("plain").summary.startswith("Basic Profile")


def test_list_and_show(project):
    assert "trial" in project("list")
    [row] = json.loads(project("list", "--json"))
    assert (row["name"], row["patients"], row["version"]) == ("trial", 1, 1)
    detail = json.loads(project("show", "trial", "--json"))
    assert detail["document"]["pseudonyms"]["site"] == "CH"
    assert detail["pipelines"] == []
    assert "did you mean trial" in project("show", "tria", expect=1)


def test_what_show_prints_is_what_set_takes(project):
    text = project("show", "trial")
    assert "PAT" not in text
    project("set", "trial", "--from", "-", stdin=text)
    assert queries.project("trial").version == 1
    project("set", "trial", "--from", "-", stdin=text.replace("dates: shift", "dates: keep"))
    changed = queries.project("trial")
    assert (changed.version, changed.document["dates"]) == (2, "keep")
    assert changed.description == "mine"
    project("set", "trial", "--description", "ours")
    assert queries.project("trial").description == "ours"
    assert "give --from" in project("set", "trial", expect=2)


def test_a_file_with_mistakes(project):
    out = project("set", "trial", "--from", "-", stdin="dates: hide\nfacess: x\n", expect=1)
    assert "dates: " in out
    assert "facess: there is no such key" in out
    assert queries.project("trial").version == 1


def test_delete_asks(project):
    project("delete", "trial", stdin="n\n", expect=1)
    assert queries.exists("trial")
    project("delete", "trial", "--yes")
    assert not queries.exists("trial")


def test_lookup(project):
    [row] = json.loads(project("lookup", "trial", "--pseudonym", "CH_0001", "--json"))
    assert (row["issuer"], row["patient_id"]) == ("HOSP", "PAT-1")
    assert "CH_0001" in project("lookup", "trial", "--patient-id", "PAT-1")
    assert "CH_0001" in project("lookup", "trial", "--patient-id", "-", stdin="PAT-1\n")
    assert "not in this" in project("lookup", "trial", "--pseudonym", "x", expect=1)
    project("lookup", "trial", expect=2)
    assert Event.objects.filter(kind="PATIENT_LOOKED_UP", actor="cli").count() == 4


def test_maps_go_out_and_in(project, tmp_path):
    out = tmp_path / "map.csv"
    project("export", "trial", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert b"PAT-1,HOSP,,CH_0001,CH_0001,\r\n" in out.read_bytes()
    assert "another file" in project("export", "trial", str(out), expect=2)
    assert project("export", "trial", "-").encode() == out.read_bytes().replace(b"\r\n", b"\n") or (
        project("export", "trial", "-").encode() == out.read_bytes()
    )
    assert project("import", "trial", str(out)) == "0 added, 1 were there already\n"
    mapping = tmp_path / "pid_mapping.json"
    mapping.write_text('{"00000000000000aa": {"anonymized_id": "CH_0050"}}')
    assert json.loads(project("import", "trial", str(mapping), "--netrt", "--json")) == {
        "added": 1,
        "known": 0,
    }


def test_a_secret_goes_to_the_command_line_and_back(project, cli, tmp_path):
    out = tmp_path / "secret.key"
    project("secret", "trial", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert Secret.from_file(out) == services.order_for("trial").secret
    assert cli("deid-project", "create", "other", "--secret-file", str(out))[0] == 0
    assert services.order_for("other").secret == services.order_for("trial").secret


def test_rotate_key(project):
    assert "projects 1, patients 1" in project("rotate-key")
    assert json.loads(project("rotate-key", "--json"))["projects"] == 1
    assert "PAT-1" in project("lookup", "trial", "--pseudonym", "CH_0001")
