"""People, their groups, what groups may use, tokens and sessions."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower

from isocenter.apps.transfers.models import Node


class UserManager(BaseUserManager["User"]):
    """Finds people by their name as they type it."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username__iexact=username or "")


class User(AbstractBaseUser):
    """A person, or a service that signs in by tokens alone."""

    class Role(models.TextChoices):
        ADMINISTRATOR = "administrator", "Administrator"
        STAFF = "staff", "Staff"
        PHYSICIAN = "physician", "Physician"
        RESEARCHER = "researcher", "Researcher"
        STUDENT = "student", "Student"
        SERVICE = "service", "Service"

    username = models.CharField(max_length=64, unique=True)
    full_name = models.CharField(max_length=255, default="", blank=True)
    email = models.EmailField(default="", blank=True)
    role = models.CharField(max_length=16, choices=Role, default=Role.STUDENT)
    is_active = models.BooleanField(default=True)
    is_approved = models.BooleanField(default=True)  # False: registered, and waits for a yes
    active_group = models.ForeignKey(
        "Group", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    must_change_password = models.BooleanField(default=False)
    password_changed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("username"), name="username_once")]


class Group(models.Model):
    """People who may do something together: further rights, and nodes that they may use."""

    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(default="", blank=True)
    members = models.ManyToManyField(User, related_name="groups", blank=True)
    rights = ArrayField(models.CharField(max_length=32), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)


class NodeGrant(models.Model):
    """A node that a group may fetch from or send to."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="node_grants")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+")
    can_be_source = models.BooleanField(default=False)
    can_be_destination = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "node"], name="node_grant_once")]


class Token(models.Model):
    """What a program signs in with; shown once, kept as a hash."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=64, default="", blank=True)
    prefix = models.CharField(max_length=12, unique=True)  # shown, to tell tokens apart
    digest = models.CharField(max_length=64)  # SHA-256 of the whole token, which is random
    scopes = ArrayField(models.CharField(max_length=32))
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)


class Session(AbstractBaseSession):
    """A browser that somebody signed in with. ``expire_date`` is what idle time leaves."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    address = models.CharField(max_length=64, default="")
    browser = models.CharField(max_length=255, default="")


class SignInLimit(models.Model):
    """Failed attempts of one name or one address; names are kept as digests.

    Names that nobody has are counted like others, so that the answers are the same. What people
    type as their name is now and then their password: it is never kept.
    """

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.IntegerField(default=0)
    first_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["first_at"], name="sign_in_limit_age")]
