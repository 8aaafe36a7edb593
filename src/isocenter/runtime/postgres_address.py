"""How to reach a PostgreSQL server of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg

HOST = "127.0.0.1"
ROLE = "isocenter"
DATABASE = "isocenter"


@dataclass(frozen=True)
class Address:
    """How to reach the database."""

    port: int
    password: str
    host: str = HOST
    user: str = ROLE
    name: str = DATABASE

    @property
    def url(self) -> str:
        secret_part = quote(self.password, safe="")
        return f"postgresql://{self.user}:{secret_part}@{self.host}:{self.port}/{self.name}"

    def connect(self, *, timeout_s: float = 5) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, connect_timeout=max(1, int(timeout_s)), autocommit=True)
