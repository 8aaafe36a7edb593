"""A project's secret, and everything that is computed with it.

All values are functions of the secret and the input: the same for ever, on every machine. Each
use has a name that goes into the HMAC, so that a UID says nothing about a hash or a day shift.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets as randomness
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from isocenter.core.deid.standard.standard_uids import is_standard_uid
from isocenter.core.errors import ConfigurationError

__all__ = ["MINIMUM_KEY_BYTES", "PatientKey", "Secret", "is_standard_uid"]

#: Keys below 128 bits can be guessed; :meth:`Secret.create` makes 256.
MINIMUM_KEY_BYTES = 16
_CREATED_KEY_BYTES = 32
_DAYS = 365
_WEEKS = 52
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")
_FILE_COMMENT = "# Secret of a de-identification project. Keep it, and keep it to yourself.\n"


class PatientKey(NamedTuple):
    """What tells one patient from another: Patient ID within its issuer (PS3.3 C.2.2)."""

    issuer: str
    patient_id: str

    @classmethod
    def of(cls, issuer: str | None, patient_id: str | None) -> PatientKey:
        """The key from attribute values: padding does not make another patient."""
        return cls(_bare(issuer), _bare(patient_id))

    @property
    def is_empty(self) -> bool:
        """Whether nobody can say who this is: an issuer alone is no patient."""
        return not self.patient_id

    @property
    def text(self) -> str:
        """One text that no other key has."""
        return f"{len(self.issuer)}:{self.issuer}{self.patient_id}"


def _bare(value: str | None) -> str:
    return (value or "").strip(" \0")


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that one project has and nobody else.

    Attributes:
        key: at least 16 random bytes; never shown by ``repr``.

    Raises:
        ConfigurationError: the key is too short to keep anything secret.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < MINIMUM_KEY_BYTES:
            raise ConfigurationError(
                f"the secret has {len(self.key)} bytes; it needs at least {MINIMUM_KEY_BYTES}",
                hint="make one with Secret.create(path)",
            )

    @classmethod
    def from_file(cls, path: Path) -> Secret:
        """Read a secret: hexadecimal digits on one line; lines that start with # are comments.

        Raises:
            ConfigurationError: no such file, or no secret in it.
        """
        try:
            content = path.read_text(encoding="ascii")
        except OSError as error:
            raise ConfigurationError(f"secret file {path}: {error.strerror}") from error
        except UnicodeDecodeError:
            content = ""
        lines = [line.strip() for line in content.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        if len(lines) != 1 or not _HEXADECIMAL.fullmatch(lines[0]) or len(lines[0]) % 2:
            raise ConfigurationError(
                f"secret file {path}: expected one line of hexadecimal digits",
                hint="64 digits; lines that start with # are comments",
            )
        return cls(bytes.fromhex(lines[0]))

    @classmethod
    def create(cls, path: Path) -> Secret:
        """Make a new random secret of 256 bits and write it to a file only its owner can read.

        Raises:
            ConfigurationError: there is a file already, which must not be lost, or it cannot be
                written.
        """
        secret = cls(randomness.token_bytes(_CREATED_KEY_BYTES))
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise ConfigurationError(
                f"secret file {path} is there already", hint="it is never written over"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"secret file {path}: {error.strerror}") from error
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{_FILE_COMMENT}{secret.key.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        return secret

    def derive(self, purpose: str) -> Secret:
        """Another secret that this one can always make again, and that does not give it away."""
        return Secret(self._mac("derive", purpose))

    def uid(self, original: str, *, is_instance: bool = False) -> str:
        """The UID that stands for another: ``2.25.`` and 128 bits of an HMAC (PS3.5 B.2).

        UIDs that name something of the standard or of a vendor and no instance
        (:func:`is_standard_uid`) come back unchanged, an empty one stays empty. Version and
        variant bits are those of a UUID of version 8 (RFC 9562), as PS3.5 B.2 wants a UUID.

        Args:
            original: the UID.
            is_instance: it stands where instances are named, so that only a UID that is known by
                name can be one of the standard.
        """
        uid = original.strip(" \0")
        if not uid or is_standard_uid(uid, is_instance=is_instance):
            return uid
        number = int.from_bytes(self._mac("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) | (0x8 << 76)
        number = number & ~(0x3 << 62) | (0x2 << 62)
        return f"2.25.{number}"

    def digest(self, text: str) -> str:
        """16 hexadecimal digits that stand for a text, for hashes and action logs."""
        return self._mac("digest", text)[:8].hex()

    def hash_text(self, text: str, length: int) -> str:
        """Up to 64 hexadecimal digits that stand for a text; the first 16 are its digest."""
        return self._mac("digest", text).hex()[:length]

    def number(self, purpose: str, text: str, modulus: int) -> int:
        """A number from 0 to below ``modulus`` that a purpose and a text always get."""
        return int.from_bytes(self._mac(f"number {purpose}", text), "big") % modulus

    def day_shift(self, patient_key: PatientKey, whole_weeks: bool = False) -> int:
        """Days from -365 to -1 that every date of a patient is moved by.

        Args:
            patient_key: whose dates.
            whole_weeks: one of -7, -14 … -364, so that days of the week stay.
        """
        if whole_weeks:
            return -7 * (1 + self.number("week shift", patient_key.text, _WEEKS))
        return -1 - self.number("day shift", patient_key.text, _DAYS)

    def _mac(self, purpose: str, text: str) -> bytes:
        message = f"isocenter deid 1 {purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, message, "sha256")
