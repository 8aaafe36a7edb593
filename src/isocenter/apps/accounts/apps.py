"""People, groups, rights, tokens."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "isocenter.apps.accounts"
    label = "accounts"
