"""What is sealed cannot be read in the database; keys can be lost, wrong, renewed."""

from __future__ import annotations

import stat

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection

from isocenter.apps.audit.models import Event
from isocenter.apps.deid import rotation, services
from isocenter.apps.deid.models import Project
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.errors import ConfigurationError, Refused
from isocenter.runtime.deid_keys import VARIABLE, retired_file

pytestmark = pytest.mark.django_db(transaction=True)

PATIENT = PatientKey("HOSPITAL-9", "PLANTED-4711")


@pytest.fixture
def key_file():
    return settings.LAYOUT.keys / "deid.keys"


@pytest.fixture
def used(make_project):
    """A project with a patient; what the patient is called."""
    make_project()
    return services.order_for("trial").pseudonyms.alias_for(PATIENT, {}).patient_id


def dump() -> str:
    """Every row of every table, as a dump of the database has it."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        text = ""
        for table in tables:
            with cursor.copy(f'COPY "{table}" TO STDOUT') as rows:
                text += b"".join(bytes(row) for row in rows).decode()
    return text


def test_nothing_in_the_database_says_who_a_patient_is(used):
    services.look_up("trial", patient_id=PATIENT.patient_id, actor="ann")
    services.look_up("trial", pseudonym=PATIENT.patient_id, actor="ann")
    services.export_map("trial", actor="ann")
    services.import_map("trial", "PatientID,Pseudonym\nPLANTED-4712,X\n", actor="ann")
    with pytest.raises(ConfigurationError):
        services.import_map("trial", "PatientID,Pseudonym\nPLANTED-4712,Y\n", actor="ann")
    secret = services.secret_of("trial", actor="ann").key
    services.change_project(
        "trial", services.read_document({"dates": "keep"}), version=1, actor="x"
    )
    text = dump()
    assert used in text
    for planted in ("PLANTED", "HOSPITAL-9", secret.hex(), secret.hex().upper()):
        assert planted not in text
    assert PATIENT.patient_id.encode().hex() not in text
    log = (settings.LAYOUT.logs / "transactions.jsonl").read_text()
    assert "PATIENT_LOOKED_UP" in log
    assert "PLANTED" not in log


def test_a_key_is_made_at_first_need_and_for_us_alone(key_file, make_project):
    assert not key_file.exists()
    make_project()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    before = key_file.read_text()
    make_project("other")
    assert key_file.read_text() == before


def test_a_lost_key_is_never_replaced_by_another(key_file, used):
    key_file.unlink()
    for ask in (
        lambda: services.order_for("trial"),
        lambda: services.create_project("new-one", services.read_document({}), actor="ann"),
        lambda: services.rotate_key(actor="ann"),
    ):
        with pytest.raises(ConfigurationError, match="is gone") as caught:
            ask()
        assert str(key_file) in str(caught.value)
    assert not key_file.exists()


def test_a_wrong_key_names_the_file(key_file, used):
    key_file.write_text(Fernet.generate_key().decode())
    with pytest.raises(ConfigurationError, match="does not open") as caught:
        services.order_for("trial")
    assert str(key_file) in str(caught.value)


def test_no_project_is_sealed_with_a_key_that_does_not_open_the_others(key_file, used):
    key_file.write_text(Fernet.generate_key().decode())
    with pytest.raises(ConfigurationError, match="does not open"):
        services.create_project("other", services.read_document({}), actor="ann")


@pytest.mark.parametrize("content", ["", "no key\n", "# only this\n", "\xe4"])
def test_a_file_without_keys(key_file, used, content):
    key_file.write_text(content)
    with pytest.raises(ConfigurationError, match="no key"):
        services.order_for("trial")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620])
def test_a_key_that_others_may_read_is_refused(key_file, used, mode):
    key_file.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        services.order_for("trial")
    key_file.chmod(0o440)  # as a secret is mounted for a group
    services.order_for("trial")


def test_keys_of_the_environment_go_first(key_file, monkeypatch, make_project):
    one, two = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv(VARIABLE, one)
    make_project()
    assert not key_file.exists()
    secret = services.order_for("trial").secret
    with pytest.raises(ConfigurationError, match="one key only"):
        services.rotate_key(actor="ann")
    monkeypatch.setenv(VARIABLE, f"{two},{one}")
    assert services.rotate_key(actor="ann").projects == 1
    monkeypatch.setenv(VARIABLE, two)
    assert services.order_for("trial").secret == secret
    monkeypatch.setenv(VARIABLE, one)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        services.order_for("trial")
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(ConfigurationError, match="no key") as caught:
        services.order_for("trial")
    assert "nonsense" not in str(caught.value)


def test_a_rotation_seals_everything_anew(key_file, used, monkeypatch):
    monkeypatch.setattr(rotation, "_BATCH", 2)
    pseudonyms = services.order_for("trial").pseudonyms
    for number in range(5):
        pseudonyms.alias_for(PatientKey("", f"PAT-{number}"), {})
    before, old = services.export_map("trial", actor="ann"), key_file.read_text().split()[-1]
    rows = dict(Project.objects.get().entries.values_list("pk", "sealed_patient"))
    done = services.rotate_key(actor="ann")
    assert (done.projects, done.patients) == (1, 6)
    assert old not in key_file.read_text()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert services.export_map("trial", actor="ann") == before
    now = Project.objects.get().entries.values_list("pk", "sealed_patient")
    assert all(rows[pk] != token for pk, token in now)
    assert pseudonyms.alias_for(PATIENT, {}).patient_id == used  # opened before
    kept = retired_file(key_file)
    assert old in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert Event.objects.filter(kind="PROJECT_KEYS_ROTATED", actor="ann").count() == 1


def test_an_interrupted_rotation_loses_nothing(key_file, used, monkeypatch):
    def stop(*_):
        raise OSError("pulled the plug")

    monkeypatch.setattr(rotation, "_seal_anew", stop)
    with pytest.raises(OSError, match="plug"):
        services.rotate_key(actor="ann")
    assert len(key_file.read_text().split("\n")) == 5  # both keys
    assert services.look_up("trial", pseudonym=used, actor="ann")[0].patient_id == "PLANTED-4711"
    monkeypatch.undo()
    monkeypatch.setattr(rotation, "retire_keys", stop)
    with pytest.raises(OSError, match="plug"):
        services.rotate_key(actor="ann")
    assert services.look_up("trial", pseudonym=used, actor="ann")[0].patient_id == "PLANTED-4711"
    monkeypatch.undo()
    services.rotate_key(actor="ann")
    assert services.look_up("trial", pseudonym=used, actor="ann")[0].patient_id == "PLANTED-4711"


def test_an_older_backup_opens_with_the_retired_key(key_file, used):
    sealed = Project.objects.get().sealed_secret
    services.rotate_key(actor="ann")
    Project.objects.update(sealed_secret=sealed)  # restored
    with pytest.raises(ConfigurationError, match="retired"):
        services.order_for("trial")
    retired = [line for line in retired_file(key_file).read_text().splitlines() if line[0] != "#"]
    key_file.write_text(key_file.read_text() + "".join(f"{line}\n" for line in retired))
    services.order_for("trial")


def test_secrets_of_two_projects_cannot_be_swapped(make_project):
    one, two = make_project("one"), make_project("two")
    Project.objects.filter(pk=two.pk).update(sealed_secret=one.sealed_secret)
    with pytest.raises(ConfigurationError, match="another project's"):
        services.order_for("two")


def test_whoever_opened_the_keys_before_a_rotation_goes_on(used):
    order = services.order_for("trial")
    services.rotate_key(actor="ann")
    order.pseudonyms.alias_for(PatientKey("", "PAT-2"), {})
    services.rotate_key(actor="ann")
    found = services.look_up("trial", patient_id="PAT-2", actor="ann")
    assert [one.patient_id for one in found] == ["PAT-2"]


def test_patients_come_while_keys_are_renewed(make_project, at_once):
    make_project(pseudonyms={"kind": "pattern"})

    def work(worker: int) -> None:
        for number in range(6):
            if worker == 0:
                services.rotate_key(actor="ann")
            else:
                order = services.order_for("trial")
                order.pseudonyms.alias_for(PatientKey("", f"PAT-{worker}-{number}"), {})

    at_once(work, 3)
    assert services.export_map("trial", actor="ann").count("PAT-") == 12


def test_two_rotations_at_once_do_not_lose_a_key(used, at_once):
    def work(_: int) -> bool:
        try:
            services.rotate_key(actor="ann")
        except Refused:
            return False
        return True

    for _ in range(3):
        assert any(at_once(work, 4))
        assert services.look_up("trial", pseudonym=used, actor="ann")[0].patient_id
