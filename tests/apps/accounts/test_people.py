"""Making, changing and giving power: what services allow, and what they write down."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import COMMAND_LINE, Principal, Right
from isocenter.apps.accounts.services import WeakPassword
from isocenter.apps.audit.models import Event
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import ConfigurationError, NotAllowed, NotFound

pytestmark = pytest.mark.django_db
GOOD = "three brown bears"


def create(name: str, role: str = "student", **values):
    return services.create_user(name, by=COMMAND_LINE, role=role, **values)


def test_a_new_person_has_a_password_that_is_told_once():
    made = create("anna")
    assert len(made.password) == 23
    assert made.user.check_password(made.password)
    assert made.user.must_change_password
    assert made.password not in str(list(Event.objects.values()))


def test_names_are_once_whatever_their_case():
    create("Anna")
    with pytest.raises(ConfigurationError, match="taken"):
        create("aNNA")
    assert queries.person("ANNA").username == "Anna"


@pytest.mark.parametrize(
    "name", ["", "new", "cli", "a b", "a/b", "../x", "x" * 65, "аnna", "admın", "-a", "a\x00"]
)
def test_names_that_cannot_be(name):
    with pytest.raises(ConfigurationError, match="cannot be a name") as caught:
        create(name)
    assert ("reserved" in str(caught.value)) == (name in ("new", "cli"))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "too short"),
        ("adminadminadmin", "similar"),
        ("123456789012345", "numeric"),
        ("qwertyuiop123", "common"),
        ("x" * 1025, "1024"),
        ("a good one but\x00", "NUL"),
    ],
)
def test_weak_passwords_say_why(password, reason):
    with pytest.raises(WeakPassword, match=reason):
        create("adminadmin", password=password)
    assert not User.objects.exists()


def test_roles_and_mail_addresses_are_checked():
    with pytest.raises(ConfigurationError, match="no role boss"):
        create("anna", "boss")
    with pytest.raises(ConfigurationError, match="no mail address"):
        create("anna", email="not one")
    create("anna")
    with pytest.raises(ConfigurationError, match="cannot be changed"):
        services.change_user("anna", by=COMMAND_LINE, password="x")
    with pytest.raises(NotFound):
        services.change_user("bert", by=COMMAND_LINE, role="staff")


def test_the_last_administrator_stays():
    create("root", "administrator")
    create("other", "administrator")
    services.set_active("other", False, by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="only administrator"):
        services.set_active("root", False, by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="only administrator"):
        services.change_user("root", by=COMMAND_LINE, role="staff")
    services.set_active("other", True, by=COMMAND_LINE)
    services.change_user("root", by=COMMAND_LINE, role="staff")
    assert queries.person("root").role == "staff"


def test_nobody_disables_themselves(administrator):
    create("other", "administrator")
    with pytest.raises(NotAllowed, match="their own"):
        services.set_active("root", False, by=administrator)


def manager(person) -> Principal:
    """A student who may manage people, by a group; has no more than that."""
    person("helper", "student")
    services.create_group("helpers", by=COMMAND_LINE, rights=["manage-people"])
    services.add_member("helpers", "helper", by=COMMAND_LINE)
    return principal_of_user(queries.person("helper"))


def test_nobody_gives_more_than_they_have(person):
    helper = manager(person)
    assert services.create_user("anna", by=helper, role="student").user.role == "student"
    for role in ("administrator", "staff", "researcher"):
        with pytest.raises(NotAllowed, match="nobody gives"):
            services.create_user("bert", by=helper, role=role)
        with pytest.raises(NotAllowed, match="nobody gives"):
            services.change_user("anna", by=helper, role=role)
    with pytest.raises(NotAllowed, match="nobody gives"):
        services.create_group("all", by=helper, rights=["delete"])
    services.create_group("deleters", by=COMMAND_LINE, rights=["delete"])
    with pytest.raises(NotAllowed, match="nobody gives"):
        services.add_member("deleters", "helper", by=helper)


def test_nobody_has_power_over_those_who_have_more(person, administrator):
    helper = manager(person)
    for act in (
        lambda: services.set_password("root", by=helper),
        lambda: services.set_active("root", False, by=helper),
        lambda: services.change_user("root", by=helper, role="student"),
        lambda: services.unlock("root", by=helper),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_without_the_right_nothing_can_be_done(person):
    anna = principal_of_user(person("anna", "staff"))
    for act in (
        lambda: services.create_user("bert", by=anna),
        lambda: services.set_password("anna", by=anna),
        lambda: services.create_group("g", by=anna),
        lambda: services.create_user("bert", by=Principal()),
    ):
        with pytest.raises(NotAllowed, match="lacks the right manage-people"):
            act()


def test_becoming_a_service_ends_the_password(person):
    person("anna", "staff")
    services.change_user("anna", by=COMMAND_LINE, role="service")
    assert not queries.person("anna").has_usable_password()
    with pytest.raises(ConfigurationError, match="is a service"):
        services.set_password("anna", by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="no password"):
        create("robot", "service", password=GOOD)


def test_every_change_is_an_event(person, administrator):
    services.create_user("anna", by=administrator)
    services.change_user("anna", by=administrator, role="staff", full_name="A")
    services.change_user("anna", by=administrator, full_name="A")  # nothing
    services.set_password("anna", by=administrator)
    services.set_active("anna", False, by=administrator)
    events = Event.objects.filter(actor="root", kind="ACCOUNT_CHANGED").order_by("id")
    details = [{k: v for k, v in event.detail.items() if k != "account"} for event in events]
    assert details == [
        {"made": True, "role": "student"},
        {"changed": ["full_name", "role"], "role": "staff", "role_before": "student"},
        {"changed": ["password"]},
        {"is_active": False},
    ]


def test_choosing_a_password_of_ones_own():
    made = create("anna")
    by = principal_of_user(made.user)
    with pytest.raises(ConfigurationError, match="present password is wrong"):
        services.change_own_password(made.user, "wrong", GOOD, by=by)
    with pytest.raises(WeakPassword, match="choose another"):
        services.change_own_password(made.user, made.password, made.password, by=by)
    services.change_own_password(made.user, made.password, GOOD, by=by)
    anna = queries.person("anna")
    assert anna.check_password(GOOD)
    assert not anna.must_change_password


def test_groups_give_rights_and_nodes(person):
    anna = person("anna", "student")
    Node.objects.create(name="pacs", kind="dimse")
    Node.objects.create(name="disk", kind="folder")
    for name, right, node in (("one", "download", "pacs"), ("two", "transfer", "disk")):
        services.create_group(name, by=COMMAND_LINE, rights=[right])
        services.add_member(name, "anna", by=COMMAND_LINE)
        services.grant_node(name, node, by=COMMAND_LINE, source=False, destination=True)
    both = principal_of_user(anna)
    assert {Right.DOWNLOAD, Right.TRANSFER} <= both.rights
    assert both.may_send_to("pacs", identified=False)
    assert not both.may_send_to("pacs", identified=True)
    assert not both.may_fetch_from("pacs")

    services.choose_group(anna, "two", by=both)
    anna = queries.person("anna")
    alone = principal_of_user(anna)
    assert not alone.may(Right.DOWNLOAD)
    assert not alone.may_send_to("pacs", identified=False)
    assert alone.may_send_to("disk", identified=False)
    token = services.create_token(anna, ["all"])
    assert services.principal_of_token(token.text).may(Right.DOWNLOAD) is True

    services.remove_member("two", "anna", by=COMMAND_LINE)
    assert queries.person("anna").active_group is None
    with pytest.raises(ConfigurationError, match="no member"):
        services.choose_group(anna, "two", by=both)


def test_nobody_gives_nodes_that_they_may_not_use(person):
    """Whoever manages people by a group's right is no administrator of nodes."""
    manager = person("mia", "researcher")
    for node in ("pacs", "disk"):
        Node.objects.create(name=node, kind="folder", folder=f"/tmp/{node}")
    services.create_group("people", by=COMMAND_LINE, rights=["manage-people"])
    services.create_group("trial", by=COMMAND_LINE)
    services.add_member("people", "mia", by=COMMAND_LINE)
    services.grant_node("people", "disk", by=COMMAND_LINE, source=False, destination=True)
    mia = principal_of_user(manager)

    def grant(node: str, source: bool, destination: bool, group: str = "trial") -> None:
        services.grant_node(group, node, by=mia, source=source, destination=destination)

    for given in (("pacs", True, False), ("pacs", False, True), ("disk", True, True)):
        for group in ("people", "trial"):
            with pytest.raises(NotAllowed, match="nobody gives"):
                grant(*given, group=group)
    grant("disk", False, True)
    services.add_member("trial", "mia", by=mia)
    services.remove_member("trial", "mia", by=mia)

    services.grant_node("trial", "pacs", by=COMMAND_LINE, source=True, destination=True)
    with pytest.raises(NotAllowed, match="pacs"):
        services.add_member("trial", "mia", by=mia)
    grant("pacs", True, False)  # less than before
    services.create_group("nodes", by=COMMAND_LINE, rights=["manage-nodes"])
    services.add_member("nodes", "mia", by=COMMAND_LINE)
    mia = principal_of_user(manager)
    grant("pacs", True, True)


def test_groups_are_checked():
    services.create_group("one", by=COMMAND_LINE)
    for name in ("", "new", "a/b", "x" * 65, "a\nb", ".", "..", " .. "):
        with pytest.raises(ConfigurationError, match="cannot be the name"):
            services.create_group(name, by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="a page has it"):
        services.create_group("new", by=COMMAND_LINE)
    services.create_group("one.two", by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="already"):
        services.create_group("one", by=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="no right fly"):
        services.change_group("one", by=COMMAND_LINE, rights=["fly"])
    with pytest.raises(NotFound):
        services.grant_node("one", "nowhere", by=COMMAND_LINE, source=True, destination=True)
    with pytest.raises(NotFound):
        services.add_member("one", "nobody-here", by=COMMAND_LINE)


@pytest.mark.django_db(transaction=True)
def test_the_first_administrator_is_made_once_however_many_start_at_once():
    made: list[str | None] = []

    def start() -> None:
        made.append(services.first_administrator())
        connection.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (password,) = [each for each in made if each]
    admin = User.objects.get()
    assert (admin.username, admin.role) == ("admin", "administrator")
    assert admin.check_password(password)
    assert admin.must_change_password
    assert services.first_administrator() is None


def test_registration_is_throttled_and_checked(accounts_settings):
    given = {"password": GOOD, "full_name": "A", "email": "", "address": "10.0.0.1"}
    with pytest.raises(NotAllowed, match="off"):
        services.register("anna", **given)
    accounts_settings(registration="approval")
    made = services.register("anna", **given).user
    assert (made.role, made.is_approved) == ("student", False)
    assert principal_of_user(made) == Principal()
    with pytest.raises(ConfigurationError, match="full name"):
        services.register("bert", **{**given, "full_name": " "})
    with pytest.raises(WeakPassword):
        services.register("bert", **{**given, "password": "x"})
    for n in range(7):
        services.register(f"n{n}", **given)
    with pytest.raises(NotAllowed, match="too many"):
        services.register("last", **given)
    services.approve("anna", by=COMMAND_LINE, role="researcher")
    assert queries.person("anna").role == "researcher"
    with pytest.raises(ConfigurationError, match="approved already"):
        services.refuse_registration("anna", by=COMMAND_LINE)
