"""Nodes: DICOM systems, DICOMweb servers and folders that we talk to."""

from __future__ import annotations

from django.db import models


def only_store() -> list[str]:
    """What a node may do with us unless it is said otherwise."""
    return ["store"]


class Node(models.Model):
    class Kind(models.TextChoices):
        DIMSE = "dimse"
        FOLDER = "folder"
        DICOMWEB = "dicomweb"

    class Demand(models.TextChoices):
        """What a caller has to show before it counts as this node."""

        NOTHING = ""
        TLS = "tls"
        CERTIFICATE = "certificate"  # of its own, signed by a CA of receiver.tls.ca

    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    ae_title = models.CharField(max_length=16, default="", blank=True)
    host = models.CharField(max_length=255, default="", blank=True)
    port = models.IntegerField(null=True, blank=True)
    calling_ae_title = models.CharField(max_length=16, default="", blank=True)  # empty: ours
    folder = models.CharField(max_length=1024, default="", blank=True)
    tls = models.JSONField(default=dict, blank=True)  # {"ca", "certificate", "key", "verify"}
    max_associations = models.IntegerField(default=2)
    rate_mb_s = models.FloatField(null=True, blank=True)  # at most, per host; null: no limit
    timeout_s = models.FloatField(null=True, blank=True)
    can_query = models.BooleanField(default=False)  # C-FIND counts at completion
    allows = models.JSONField(default=only_store, blank=True)  # accounts.rights.DimseRight
    demands = models.CharField(max_length=16, choices=Demand, default="", blank=True)
    wants_commitment = models.BooleanField(default=False)  # sent is what it has committed to
    url = models.CharField(max_length=2048, default="", blank=True)  # base of a DICOMweb service
    username = models.CharField(max_length=255, default="", blank=True)  # empty: bearer token
    secret = models.TextField(default="", blank=True)  # password or token, sealed
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)


class NodeHealth(models.Model):
    """What the last test of a node showed."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, related_name="health")
    checked_at = models.DateTimeField()
    is_ok = models.BooleanField()
    took_ms = models.IntegerField()
    message = models.TextField(default="")
    since = models.DateTimeField()  # when it became as it is
