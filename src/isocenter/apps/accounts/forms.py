"""Forms of the account pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from isocenter.apps.accounts.models import Group, User
from isocenter.apps.accounts.passwords import LONGEST
from isocenter.apps.accounts.rights import ROLE_RIGHTS, SCOPES, Right
from isocenter.apps.accounts.wording import RIGHT_TEXTS, ROLE_TEXTS

ROLES = [(role, f"{role}: {ROLE_TEXTS[role]}") for role in ROLE_RIGHTS]
RIGHTS = [(str(right), f"{right}: {RIGHT_TEXTS[right]}") for right in Right]
_DAYS = [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("0", "never")]


def _password(label: str, completion: str, **options: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": completion})
    return forms.CharField(label=label, strip=False, max_length=LONGEST, widget=widget, **options)


def password_help() -> str:
    """The rules in one line."""
    length = settings.ISOCENTER.accounts.password_length
    return (
        f"At least {length} characters; nothing like your name, no common password, "
        "not digits alone."
    )


class SignInForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=255,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}
        ),
    )
    password = _password("Password", "current-password")


class NewPasswordForm(forms.Form):
    """A password that one chooses, typed twice."""

    new = _password("New password", "new-password")
    again = _password("Once more", "new-password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new"].help_text = password_help()

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if "new" in values and "again" in values and values["new"] != values["again"]:
            self.add_error("again", "The two are not the same.")
        return values


class PasswordForm(NewPasswordForm):
    """Changing one's own."""

    old = _password("Present password", "current-password")
    field_order = ("old", "new", "again")


class RegisterForm(NewPasswordForm):
    """An account that waits for approval."""

    username = forms.CharField(
        label="Name",
        max_length=64,
        help_text="Letters, digits and . @ + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )
    full_name = forms.CharField(
        label="Full name",
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
    )
    email = forms.EmailField(label="Mail address", required=False)
    field_order = ("username", "full_name", "email", "new", "again")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new"].label = "Password"


class PersonForm(forms.Form):
    """What can be changed about somebody."""

    full_name = forms.CharField(
        label="Full name",
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    email = forms.EmailField(label="Mail address", required=False)
    role = forms.ChoiceField(label="Role", choices=ROLES, initial="student")

    @classmethod
    def of(cls, user: User) -> PersonForm:
        """The form with somebody's values."""
        return cls(initial={"full_name": user.full_name, "email": user.email, "role": user.role})


class NewPersonForm(PersonForm):
    username = forms.CharField(
        label="Name",
        max_length=64,
        help_text="What is typed to sign in: letters, digits and . @ + - _",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    field_order = ("username", "full_name", "email", "role")


class GroupForm(forms.Form):
    name = forms.CharField(label="Name", max_length=64)
    description = forms.CharField(
        label="Description", required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    rights = forms.MultipleChoiceField(
        label="Rights that members get besides those of their role",
        choices=RIGHTS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    @classmethod
    def of(cls, group: Group) -> GroupForm:
        """The form with a group's values."""
        return cls(
            initial={
                "name": group.name,
                "description": group.description,
                "rights": list(group.rights),
            }
        )


class TokenForm(forms.Form):
    """A new token; only scopes that its owner has something of."""

    name = forms.CharField(label="What for", max_length=64, help_text="So that you know it again.")
    scopes = forms.MultipleChoiceField(
        label="Scopes", choices=[], widget=forms.CheckboxSelectMultiple
    )
    days = forms.ChoiceField(label="Ends after", choices=_DAYS, initial="365")

    def __init__(self, data: Any = None, *, rights: frozenset[Right]) -> None:
        super().__init__(data)
        texts = {
            "all": "everything that you may",
            "read": "look and download",
            **{str(right): RIGHT_TEXTS[right] for right in Right},
        }
        choices = [
            (scope, f"{scope}: {texts[scope]}") for scope, given in SCOPES.items() if given & rights
        ]
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices
