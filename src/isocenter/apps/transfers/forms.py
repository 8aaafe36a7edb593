"""The form of a node; what is wrong stands at its field."""

from __future__ import annotations

from typing import Any

from django import forms

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.transfers import queries
from isocenter.apps.transfers.checking import problems_of
from isocenter.apps.transfers.models import Node

_KINDS = (
    (Node.Kind.DIMSE, "DICOM system"),
    (Node.Kind.DICOMWEB, "DICOMweb service"),
    (Node.Kind.FOLDER, "Folder"),
)
_ALLOWS = (
    (DimseRight.STORE, "send to us (C-STORE)"),
    (DimseRight.QUERY, "search our archive (C-FIND)"),
    (DimseRight.RETRIEVE, "fetch from it (C-GET, C-MOVE)"),
    (DimseRight.COMMIT, "ask whether we keep what it sent (Storage Commitment)"),
)
_DEMANDS = (
    (Node.Demand.NOTHING, "Its AE title and address"),
    (Node.Demand.TLS, "TLS besides"),
    (Node.Demand.CERTIFICATE, "TLS and a certificate of its own"),
)
_TLS = {"tls_ca": "ca", "tls_certificate": "certificate", "tls_key": "key"}


def _plain(**attributes: str) -> dict[str, str]:
    return {"autocomplete": "off", "spellcheck": "false", **attributes}


# Which kind a field belongs to, and what the others have there.
_OF_KIND: dict[str, tuple[Node.Kind, Any]] = {
    "folder": (Node.Kind.FOLDER, ""),
    "ae_title": (Node.Kind.DIMSE, ""),
    "host": (Node.Kind.DIMSE, ""),
    "port": (Node.Kind.DIMSE, None),
    "calling_ae_title": (Node.Kind.DIMSE, ""),
    "can_query": (Node.Kind.DIMSE, False),
    "wants_commitment": (Node.Kind.DIMSE, False),
    "allows": (Node.Kind.DIMSE, []),
    "demands": (Node.Kind.DIMSE, ""),
    "url": (Node.Kind.DICOMWEB, ""),
    "username": (Node.Kind.DICOMWEB, ""),
}


class NodeForm(forms.Form):
    """Everything that a node has. Fields that its kind does not use are emptied."""

    name = forms.CharField(
        max_length=64,
        help_text="Routes and people call it so. Letters, digits, - and _.",
        widget=forms.TextInput(attrs=_plain()),
    )
    kind = forms.ChoiceField(
        choices=_KINDS,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        initial=Node.Kind.DIMSE,
    )
    enabled = forms.BooleanField(
        required=False,
        initial=True,
        label="Switched on",
        help_text="Off: nothing is sent there, and it may send to us at most.",
    )

    ae_title = forms.CharField(
        required=False,
        strip=False,
        label="AE title",
        help_text="As it calls itself, exactly: at most 16 characters.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    host = forms.CharField(
        required=False,
        help_text="Name or address.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    port = forms.IntegerField(required=False, help_text="104 and 11112 are common.")
    calling_ae_title = forms.CharField(
        required=False,
        strip=False,
        label="Our AE title there",
        help_text="Empty: the one in the settings.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    can_query = forms.BooleanField(
        required=False,
        label="It answers C-FIND",
        help_text="Then a study from there is complete when we have as many instances as it says.",
    )

    wants_commitment = forms.BooleanField(
        required=False,
        label="Ask it for Storage Commitment",
        help_text="Then a delivery is done when it says that it keeps every instance; what it "
        "does not keep is sent again.",
    )
    allows = forms.MultipleChoiceField(
        required=False,
        choices=_ALLOWS,
        initial=[DimseRight.STORE],
        widget=forms.CheckboxSelectMultiple,
        label="It may",
        help_text="C-ECHO is free to everybody.",
    )
    demands = forms.ChoiceField(
        required=False,
        choices=_DEMANDS,
        label="We know it by",
        help_text="A caller without these is a stranger.",
    )

    url = forms.CharField(
        required=False,
        max_length=2048,
        label="Address",
        help_text="What /studies is added to, for example https://pacs.example/dicom-web.",
        widget=forms.TextInput(attrs=_plain(dir="ltr", inputmode="url")),
    )
    username = forms.CharField(
        required=False,
        max_length=255,
        label="User name",
        help_text="Empty: what stands in the next field is a token.",
        widget=forms.TextInput(attrs=_plain()),
    )
    secret = forms.CharField(
        required=False,
        max_length=4096,
        strip=False,
        label="Password or token",
        help_text="Empty: what is kept stays. It is sealed and never shown; another host needs "
        "it anew.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    drop_secret = forms.BooleanField(required=False, label="Forget the password or token")

    tls = forms.BooleanField(required=False, label="Talk TLS")
    tls_ca = forms.CharField(
        required=False,
        max_length=1024,
        label="Its CA",
        help_text="PEM file on this server. Empty: those of the system.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    tls_certificate = forms.CharField(
        required=False,
        max_length=1024,
        label="Our certificate",
        help_text="PEM file, where it asks for one.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    tls_key = forms.CharField(
        required=False,
        max_length=1024,
        label="Our private key",
        help_text="PEM file. Empty: it is in the certificate's file.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    tls_verify = forms.BooleanField(
        required=False, initial=True, label="The name in its certificate must be the host"
    )

    folder = forms.CharField(
        required=False,
        max_length=1024,
        label="Path",
        help_text="On this server, outside our own data. It is made when it is not there.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )

    max_associations = forms.IntegerField(
        initial=2, label="Associations at once", help_text="Of all deliveries together, 1 to 64."
    )
    rate_mb_s = forms.FloatField(
        required=False,
        label="Rate limit (MB/s)",
        help_text="Empty: as fast as it goes. Holds for all that this host sends there.",
    )
    timeout_s = forms.FloatField(
        required=False,
        label="Time-out (s)",
        help_text="Longest silence of the node. Empty: the one in the settings.",
    )

    def __init__(self, *args: Any, node: Node | None = None, **kwargs: Any) -> None:
        self.node = node
        super().__init__(*args, **{**kwargs, "initial": _initial(node) if node else None})
        if node is None:
            self.fields["secret"].help_text = "It is sealed and never shown."
        else:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = "Routes and runs name it so; it stays."

    def clean(self) -> dict[str, Any]:
        super().clean()
        problems = problems_of(self.values())
        name = self.cleaned_data.get("name", "")
        if self.node is None and "name" not in problems and queries.is_taken(name):
            problems["name"] = f"There is a node {name} already."
        for place, text in problems.items():
            field = place.replace("tls.", "tls_")
            if field not in self.errors:
                self.add_error(field, text[:1].upper() + text[1:])
        return self.cleaned_data

    def values(self) -> dict[str, Any]:
        """The node as `services.set_node` takes it."""
        given = self.cleaned_data
        kind = given.get("kind")
        common = (
            "name",
            "kind",
            "enabled",
            "max_associations",
            "rate_mb_s",
            "timeout_s",
        )
        values: dict[str, Any] = {key: given.get(key) for key in common}
        for field, (own, without) in _OF_KIND.items():
            values[field] = given.get(field, without) if kind == own else without
        values["secret"] = self._secret()
        values["tls"] = self._tls() if self._has_tls() else {}
        return values

    def _has_tls(self) -> bool:
        """Asked for with DICOM; with DICOMweb the address says so."""
        given = self.cleaned_data
        if given.get("kind") == Node.Kind.DICOMWEB:
            return str(given.get("url", "")).startswith("https:")
        return given.get("kind") == Node.Kind.DIMSE and bool(given.get("tls"))

    def _secret(self) -> str | None:
        given = self.cleaned_data
        if given.get("kind") != Node.Kind.DICOMWEB or given.get("drop_secret"):
            return ""
        return given.get("secret") or None

    def _tls(self) -> dict[str, Any]:
        given = self.cleaned_data
        files = {key: given.get(field, "").strip() for field, key in _TLS.items()}
        return {**files, "verify": bool(given.get("tls_verify"))}


def _initial(node: Node) -> dict[str, Any]:
    return {
        **queries.node_row(node),
        "tls": bool(node.tls),
        **{field: node.tls.get(key, "") for field, key in _TLS.items()},
        "tls_verify": node.tls.get("verify", True),
    }
