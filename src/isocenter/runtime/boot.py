"""Settings, then Django: what every process of ours does first."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.configuration import load_settings
from isocenter.runtime.layout import Layout
from isocenter.runtime.postgres import EmbeddedPostgres
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import secret

__all__ = [
    "boot",
    "boot_with",
    "database_url",
    "django_settings",
    "load_settings",
    "wait_for_database",
]

_booted: tuple[Settings, str] | None = None

_DRIVER_OPTIONS = {"connect_timeout": 5}
# Nobody listens there: without `boot()` Django knows models and migrations, but no database.
_NO_DATABASE = {"NAME": "isocenter", "HOST": "127.0.0.1", "PORT": "1", "USER": "", "PASSWORD": ""}


def boot(data_dir: Path | None = None, config: Path | None = None, **overrides: Any) -> Settings:
    """Load the settings and set Django up on the running database. Idempotent.

    Where Django is set up already (a test, a second call), its database stays as it is.

    Raises:
        ConfigurationError: a setting is wrong, or no platform runs on this data directory.
    """
    from django.conf import settings as configured

    settings = load_settings(config, data_dir=data_dir, **overrides)
    if configured.configured:
        configured.ISOCENTER = settings
        configured.LAYOUT = Layout(settings.data_dir)
        return settings
    return boot_with(settings, database_url(settings))


def boot_with(settings: Settings, url: str) -> Settings:
    """Set Django up with these settings on this database."""
    global _booted  # noqa: PLW0603 (a process has one Django)
    import django

    _booted = (settings, url)
    os.environ["DJANGO_SETTINGS_MODULE"] = "isocenter.runtime.django"
    django.setup()
    return settings


def database_url(settings: Settings) -> str:
    """The database of the configuration, else the embedded one that runs on the data directory.

    Raises:
        ConfigurationError: there is none that answers, or we may not read its password.
    """
    if settings.database_url:
        return settings.database_url
    start = f"start it: isocenter up --data-dir {settings.data_dir}"
    try:
        address = EmbeddedPostgres(Layout(settings.data_dir)).address
        with socket.create_connection((address.host, address.port), timeout=3):
            return address.url
    except PermissionError as error:
        raise ConfigurationError(
            f"{error.filename or settings.data_dir} cannot be read",
            hint="run this as the user who runs Isocenter",
        ) from None
    except OSError:
        raise ConfigurationError(f"no platform runs on {settings.data_dir}", hint=start) from None


def wait_for_database(settings: Settings, timeout_s: float = 90) -> str:
    """The address of the database as soon as it takes us; a part may be up before it.

    Raises:
        ConfigurationError: it did not in that time; says what it answered last.
    """
    deadline = time.monotonic() + timeout_s
    wait_s = 0.1
    while True:
        try:
            url = database_url(settings)
            with psycopg.connect(url, connect_timeout=5):
                return url
        except (ConfigurationError, psycopg.OperationalError) as error:
            if time.monotonic() > deadline:
                reason = str(error).strip().splitlines()[0]
                raise ConfigurationError(f"the database does not answer: {reason}") from None
        time.sleep(wait_s)
        wait_s = min(2.0, wait_s * 1.5)


def database_configuration(url: str) -> dict[str, Any]:
    """A PostgreSQL URL as an entry of Django's ``DATABASES``."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            f"database_url cannot be read: {str(error).splitlines()[0].replace(url, '…')}",
            hint="expected postgresql://user:password@host:port/database",
        ) from None
    options = {
        **_DRIVER_OPTIONS,
        **{
            key: value
            for key, value in parts.items()
            if key not in ("dbname", "user", "password", "host", "port")
        },
    }
    return {
        "NAME": str(parts.get("dbname") or "isocenter"),
        "USER": str(parts.get("user") or ""),
        "PASSWORD": str(parts.get("password") or ""),
        "HOST": str(parts.get("host") or ""),
        "PORT": str(parts.get("port") or ""),
        "OPTIONS": options,
    }


_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "procrastinate.contrib.django",
    "isocenter.apps.audit",
    "isocenter.apps.archive",
    "isocenter.apps.transfers",
    "isocenter.apps.routing",
    "isocenter.apps.deid",
    "isocenter.apps.accounts",
    "isocenter.apps.web",
    "isocenter.apps.api",
    "isocenter.apps.dimse",
    "isocenter.apps.dicomweb",
    "ninja",  # the files of its description's page
]
_MIDDLEWARE = [
    "isocenter.runtime.web.headers.TrueLengths",
    "django.middleware.security.SecurityMiddleware",
    "isocenter.runtime.web.headers.ContentSecurityPolicy",
    "isocenter.runtime.web.static.StaticFiles",
    "isocenter.apps.dicomweb.cors.CrossOrigin",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "isocenter.apps.accounts.middleware.Authentication",
    "isocenter.apps.web.viewer.Viewer",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "isocenter.runtime.web.errors.ErrorPages",
]
_CONTEXT_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.messages.context_processors.messages",
    "isocenter.apps.web.context.layout",
]


def django_settings() -> dict[str, Any]:
    """Django's settings, made from ours."""
    ours, url = _booted or (load_settings(), "")
    layout = Layout(ours.data_dir)
    database = database_configuration(url) if url else dict(_NO_DATABASE)
    return {
        "ISOCENTER": ours,
        "LAYOUT": layout,
        "SECRET_KEY": _secret_key(layout),
        "DEBUG": False,
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "LANGUAGE_CODE": "en-us",
        "ALLOWED_HOSTS": allowed_hosts(ours),
        "DATABASES": {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "CONN_MAX_AGE": 300,
                "CONN_HEALTH_CHECKS": True,
                **database,
            }
        },
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": list(_APPS),
        "MIDDLEWARE": list(_MIDDLEWARE),
        "LOGGING_CONFIG": None,  # runtime.logs does it
        # Only workers need every task (`runtime.queue.load_tasks`); the rest starts faster without.
        "PROCRASTINATE_AUTODISCOVER_MODULE_NAME": "",
        **_of_people(ours),
        **_of_pages(layout),
        **_under_public_url(ours),
    }


def _of_people(ours: Settings) -> dict[str, Any]:
    return {
        "AUTH_USER_MODEL": "accounts.User",
        "AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"],
        "LOGIN_URL": "sign-in",
        "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
        "AUTH_PASSWORD_VALIDATORS": password_validators(ours),
        "SESSION_ENGINE": "isocenter.apps.accounts.sessions",
        "SESSION_COOKIE_NAME": "isocenter_session",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_AGE": round(ours.accounts.session_hours * 3600),
        "CSRF_COOKIE_NAME": "isocenter_csrf",
        "CSRF_FAILURE_VIEW": "isocenter.runtime.web.errors.csrf_failure",
    }


def _of_pages(layout: Layout) -> dict[str, Any]:
    return {
        # On the data disk; without an installation there is none to name.
        **({"FILE_UPLOAD_TEMP_DIR": str(layout.uploads)} if _booted else {}),
        "STATIC_URL": "/static/",
        "WHITENOISE_USE_FINDERS": True,
        "WHITENOISE_AUTOREFRESH": False,
        "WHITENOISE_ALLOW_ALL_ORIGINS": False,
        "STORAGES": {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "isocenter.runtime.web.static.VersionedStorage"},
        },
        "ROOT_URLCONF": "isocenter.runtime.web.urls",
        "ASGI_APPLICATION": "isocenter.runtime.web.asgi.application",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": list(_CONTEXT_PROCESSORS)},
            }
        ],
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_REFERRER_POLICY": "same-origin",
    }


def allowed_hosts(settings: Settings) -> list[str]:
    """Names that a request may come under; on loopback only those of loopback."""
    url = settings.web.public_url
    public = [url.host] if url is not None and url.host else []
    if settings.web.host in ("127.0.0.1", "localhost", "::1"):
        return ["127.0.0.1", "localhost", "[::1]", *public]
    return ["*"]


def password_validators(settings: Settings) -> list[dict[str, Any]]:
    """Long enough, not like the name, not among the common ones, not of digits alone."""
    base = "django.contrib.auth.password_validation"
    attributes = ("username", "full_name", "email")
    length = settings.accounts.password_length
    return [
        {
            "NAME": f"{base}.UserAttributeSimilarityValidator",
            "OPTIONS": {"user_attributes": attributes},
        },
        {"NAME": f"{base}.MinimumLengthValidator", "OPTIONS": {"min_length": length}},
        {"NAME": f"{base}.CommonPasswordValidator"},
        {"NAME": f"{base}.NumericPasswordValidator"},
    ]


def _under_public_url(settings: Settings) -> dict[str, Any]:
    url = settings.web.public_url
    if url is None:
        return {}
    is_secure = url.scheme == "https"
    port = "" if url.port in (None, 443 if is_secure else 80) else f":{url.port}"
    return {
        "SESSION_COOKIE_SECURE": is_secure,
        "CSRF_COOKIE_SECURE": is_secure,
        "CSRF_TRUSTED_ORIGINS": [f"{url.scheme}://{url.host}{port}"],
    }


def _secret_key(layout: Layout) -> str:
    """Kept in ``secrets/`` where we may write; else made for this process alone."""
    if _booted is None:
        return os.urandom(32).hex()
    return secret(layout.secrets / "django-secret-key")
