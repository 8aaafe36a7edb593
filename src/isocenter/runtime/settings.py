"""The settings model: defaults in code, then YAML, then environment, then command line.

The configuration reference in ``docs/reference/configuration.md`` is generated from this model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

UserPath = Annotated[Path, Field(description="~ is expanded")]


def default_data_dir() -> Path:
    """``/var/lib/isocenter`` for root, else the user's own data folder (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/isocenter")
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "isocenter"


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="after")
    @classmethod
    def _expand_user(cls, value: object) -> object:
        return value.expanduser() if isinstance(value, Path) else value


class Tls(Section):
    """TLS of the DICOM receiver (PS3.15 B.12)."""

    certificate: Path | None = Field(None, description="PEM file; setting it turns TLS on")
    key: Path | None = Field(None, description="PEM file of the private key")
    ca: Path | None = Field(None, description="PEM file with the CAs that sign client certificates")
    require_client_certificate: bool = Field(False, description="refuse peers without one")


class Receiver(Section):
    """The DIMSE acceptor."""

    enabled: bool = True
    hosts: tuple[str, ...] = Field(("0.0.0.0",), description="addresses to listen on")  # noqa: S104
    port: int = Field(11112, ge=0, le=65535, description="0 takes a free port")
    ae_title: str = Field("ISOCENTER", min_length=1, max_length=16)
    max_pdu: int = Field(131072, ge=4096, le=1 << 20, description="bytes we accept in one PDU")
    max_associations: int = Field(50, ge=1, le=1000)
    acse_timeout_s: float = Field(30, gt=0, description="from connection to A-ASSOCIATE-RQ")
    network_timeout_s: float = Field(60, gt=0, description="silence inside an association")
    allowed_calling_ae_titles: tuple[str, ...] = Field((), description="empty: everyone")
    check_called_ae_title: bool = False
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field((), description="CIDR; empty: everyone")
    denied_sop_classes: tuple[str, ...] = Field((), description="UIDs answered with 0x0122")
    unknown_callers: Literal["store", "refuse"] = Field(
        "store", description="C-STORE of callers that are no node: taken, or answered with 0x0124"
    )
    max_answers: int = Field(
        100_000, ge=1, description="of one C-FIND; then 0xA700 says that there are more"
    )
    tls: Tls = Tls()


class Storage(Section):
    """Spool and archive."""

    reserve_mb: int = Field(1024, ge=0, description="free disk below which 0xA700 is answered")
    duplicate_policy: Literal["keep-first", "replace"] = Field(
        "keep-first", description="of another data set with a known UID; the other is in quarantine"
    )
    segment_mb: int = Field(32, ge=1, le=4096, description="size of a spool segment")
    watched_folders: tuple[Path, ...] = Field((), description="files put here are imported")


class CompletionRule(Section):
    """When a study counts as complete. Fields left empty fall back to the section above."""

    debounce_s: float | None = Field(None, gt=0)
    min_instances: int | None = Field(None, ge=1)
    force_complete_s: float | None = Field(None, gt=0)
    on_timeout: Literal["process", "hold"] | None = None


class Completion(Section):
    """Defaults of completion, and exceptions per source (calling AE title)."""

    debounce_s: float = Field(60, gt=0, description="quiet time")
    min_instances: int = Field(2, ge=1, description="with fewer, a study waits for the next line")
    force_complete_s: float = Field(900, gt=0, description="from the first new instance on")
    on_timeout: Literal["process", "hold"] = Field(
        "process", description="what becomes of studies that are too small then"
    )
    sources: dict[str, CompletionRule] = Field({}, description="per calling AE title")

    @model_validator(mode="after")
    def _in_order(self) -> Completion:
        if self.force_complete_s < self.debounce_s:
            raise ValueError(
                f"force_complete_s ({self.force_complete_s:g}) is less than debounce_s "
                f"({self.debounce_s:g}): every study would be forced before it is quiet"
            )
        return self


class Web(Section):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 takes a free port")
    public_url: HttpUrl | None = Field(
        None, description="address behind a proxy; with https cookies go over https only"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="whose X-Forwarded-For and -Proto count"
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="origins whose pages may ask DICOMweb, as https://viewer.example; *: any, with "
        "a token",
    )
    search_limit: int = Field(
        5000, ge=1, le=100_000, description="answers of one DICOMweb search; offset pages on"
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(each.strip().rstrip("/").lower() for each in value)
        for each in found:
            parts = urlsplit(each)
            is_origin = parts.scheme in ("http", "https") and parts.hostname
            if each != "*" and not (is_origin and each == f"{parts.scheme}://{parts.netloc}"):
                raise ValueError(f"{each!r} is no origin such as https://viewer.example:8443")
        return found


class Accounts(Section):
    """People: passwords, sign-in, sessions, tokens."""

    registration: Literal["off", "approval"] = Field(
        "off", description="approval: people register, an administrator says yes"
    )
    password_length: int = Field(12, ge=8, le=128, description="fewest characters")
    lock_after_failures: int = Field(5, ge=1, le=100, description="of one name")
    address_failures: int = Field(50, ge=1, description="of one address, whatever the names")
    lock_minutes: float = Field(15, gt=0, description="how long either has to wait")
    session_idle_minutes: float = Field(60, gt=0, description="signed out after so long unused")
    session_hours: float = Field(12, gt=0, description="signed out after so long in any case")
    token_days: int | None = Field(
        365, ge=1, description="life of a token when nothing else is said; empty: for ever"
    )


class Workers(Section):
    """Processes that do the runs and the deliveries."""

    processes: int = Field(1, ge=0, le=64)
    runs: int = Field(2, ge=1, le=64, description="runs at once per process")
    deliveries: int = Field(4, ge=1, le=64, description="deliveries at once per process")
    step_timeout_s: float = Field(3600, gt=0)
    step_memory_mb: int = Field(3072, ge=256)
    heartbeat_s: float = Field(3, gt=0)
    dead_after_s: float = Field(12, gt=0)


class Delivery(Section):
    """Retries of deliveries: exponential back-off with jitter."""

    attempts: int = Field(8, ge=1)
    first_wait_s: float = Field(30, gt=0, description="doubles with each attempt")
    max_wait_s: float = Field(1200, gt=0)
    timeout_s: float = Field(60, gt=0, description="silence of the peer")
    calling_ae_title: str = Field("", max_length=16, description="empty: the receiver's")
    commitment_wait_s: float = Field(
        5, ge=0, le=60, description="for a commitment's result, on the association that asks for it"
    )
    commitment_timeout_s: float = Field(
        600, gt=0, description="for the result altogether; then the delivery tries again"
    )


class Nodes(Section):
    """Where folder nodes may be; tests of nodes in the background."""

    folder_roots: tuple[Path, ...] = Field(
        (), description="folder nodes lie below one of these; empty: anywhere but system folders"
    )

    test_every_min: int = Field(5, ge=0, le=1440, description="0: never")
    test_timeout_s: float = Field(10, gt=0, le=60, description="a node that is slower is silent")


class Quarantine(Section):
    """What could not be done is kept here."""

    quota_mb: int | None = Field(None, ge=1, description="reached: alarm and 0xA700")
    retention_days: int | None = Field(None, ge=1, description="empty: for ever")


class Retention(Section):
    """How long things are kept. Protected studies, and those with work that is not done, stay."""

    originals_days: int | None = Field(
        None, ge=1, description="what was received, after the last of its study; empty: for ever"
    )
    derived_days: int | None = Field(
        None, ge=1, description="what runs made, in the archive and beside it; empty: for ever"
    )
    quarantine_days: int | None = Field(None, ge=1, description="empty: quarantine.retention_days")
    exports_days: int | None = Field(
        None, ge=1, description="files in exports/ of the data directory; empty: for ever"
    )


class Reports(Section):
    """Run reports."""

    folder: Path | None = Field(None, description="empty: reports/ in the data directory")
    formats: tuple[Literal["html", "json", "txt"], ...] = ("html", "json", "txt")


class Logs(Section):
    """Application and transaction log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    rotate_mb: int = Field(50, ge=1)
    keep: int = Field(10, ge=1, description="rotated files kept")


class Deid(Section):
    """Projects of de-identification. Their secrets and maps are sealed with the keys."""

    key_file: Path | None = Field(
        None,
        description="keys, one a line, the first seals; empty: keys/deid.keys in the data "
        "directory; the variable ISOCENTER_DEID_KEYS goes before it",
    )
    processes: int = Field(
        1, ge=1, le=64, description="of one step deidentify; its memory is for all of them"
    )


class Limits(Section):
    """Bounds on what is read from outside."""

    max_depth: int = Field(32, ge=1, description="nesting of sequences")
    max_elements: int = Field(1_000_000, ge=1)
    max_instance_mb: int = Field(8192, ge=1)
    max_request_mb: int = Field(
        65_536, ge=1, description="one STOW-RS request, all its instances together"
    )
    max_pixels: int = Field(1 << 32, ge=1, description="rows x columns x frames")


class Settings(BaseSettings):
    """Everything that can be set. Environment: ``ISOCENTER_RECEIVER__PORT=104``."""

    model_config = SettingsConfigDict(
        env_prefix="ISOCENTER_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`runtime.configuration` merges the layers: it knows where each value was written."""
        return (init_settings,)

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str | None = Field(None, description="postgresql://…; empty: embedded")
    receiver: Receiver = Receiver()
    storage: Storage = Storage()
    completion: Completion = Completion()
    web: Web = Web()
    accounts: Accounts = Accounts()
    workers: Workers = Workers()
    delivery: Delivery = Delivery()
    nodes: Nodes = Nodes()
    quarantine: Quarantine = Quarantine()
    retention: Retention = Retention()
    reports: Reports = Reports()
    logs: Logs = Logs()
    deid: Deid = Deid()
    limits: Limits = Limits()

    _places: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)

    @property
    def places(self) -> dict[tuple[str, ...], str]:
        """Where each key was written, for those that are no defaults; `configuration` fills it."""
        return self._places

    @property
    def quarantine_days(self) -> int | None:
        """How long the quarantine keeps what it holds, wherever that was set."""
        return self.retention.quarantine_days or self.quarantine.retention_days

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()
