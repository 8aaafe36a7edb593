"""Addresses of the pages of this app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.accounts.views import account, entry, groups, people

_person = "people/<str:username>/"
_group = "groups/<str:name>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", entry.sign_in, name="sign-in"),
    path("sign-out/", entry.sign_out, name="sign-out"),
    path("register/", entry.register, name="register"),
    path("account/", account.account, name="account"),
    path("account/password/", account.password, name="password"),
    path("account/group/", account.account_group, name="account-group"),
    path("account/tokens/", account.token_new, name="token-new"),
    path("account/tokens/<str:prefix>/revoke/", account.token_revoke, name="token-revoke"),
    path("account/sessions/<str:session>/end/", account.session_end, name="session-end"),
    path("people/", people.people, name="people"),
    path("people/new/", people.person_new, name="person-new"),
    path(_person, people.person, name="person"),
    path(f"{_person}password/", people.person_password, name="person-password"),
    path(f"{_person}active/", people.person_active, name="person-active"),
    path(f"{_person}unlock/", people.person_unlock, name="person-unlock"),
    path(f"{_person}approve/", people.person_approve, name="person-approve"),
    path(f"{_person}tokens/", people.person_token, name="person-token"),
    path(
        f"{_person}tokens/<str:prefix>/revoke/",
        people.person_token_revoke,
        name="person-token-revoke",
    ),
    path("groups/", groups.groups, name="groups"),
    path("groups/new/", groups.group_new, name="group-new"),
    path(_group, groups.group, name="group"),
    path(f"{_group}members/", groups.group_members, name="group-members"),
    path(f"{_group}nodes/", groups.group_nodes, name="group-nodes"),
    path(f"{_group}remove/", groups.group_remove, name="group-remove"),
]
