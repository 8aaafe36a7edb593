"""What ``isocenter doctor`` says of the keys of de-identification projects."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.deid_keys import (
    VARIABLE,
    key_file,
    look_at_keys,
    make_keys,
    read_keys,
    replace_keys,
    retire_keys,
    retired_file,
)
from isocenter.runtime.settings import Deid, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def sealed_with(key: str) -> str:
    return Fernet(key).encrypt(b"x").decode()


def told(settings: Settings, sealed: str | None = None) -> list[tuple[str, str]]:
    return [(level, text) for level, text, _ in look_at_keys(settings, sealed)]


def test_before_the_first_project(settings):
    [(level, text)] = told(settings)
    assert level == "ok"
    assert "first project" in text
    assert not key_file(settings).exists()


def test_with_the_database_in_one_folder_it_warns(settings):
    keys = make_keys(settings)
    levels = [level for level, _ in told(settings, sealed_with(keys.keys[0]))]
    assert levels == ["ok", "note"]
    [*_, (_, text, mend)] = look_at_keys(settings, None)
    assert "with the database" in text
    assert "deid.key_file" in mend


def test_apart_from_the_database_all_is_well(settings, tmp_path, monkeypatch):
    elsewhere = Settings(data_dir=tmp_path / "data", deid=Deid(key_file=tmp_path / "safe" / "k"))
    make_keys(elsewhere)
    assert told(elsewhere) == [("ok", f"1 in {tmp_path / 'safe' / 'k'}")]
    external = Settings(data_dir=tmp_path / "data", database_url="postgresql://db/isocenter")
    make_keys(external)
    assert [level for level, _ in told(external)] == ["ok"]
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    assert told(settings) == [("ok", f"1 in {VARIABLE}")]


def test_what_is_wrong(settings):
    assert told(settings, sealed_with(Fernet.generate_key().decode()))[0][0] == "wrong"
    make_keys(settings)
    [(level, text)] = told(settings, sealed_with(Fernet.generate_key().decode()))
    assert level == "wrong"
    assert "do not open" in text
    key_file(settings).chmod(0o644)
    [(level, text, mend)] = look_at_keys(settings, None)
    assert (level, mend) == ("wrong", f"chmod 600 {key_file(settings)}")
    assert "others" in text


def test_a_key_that_is_there_is_not_made_again(settings):
    first = make_keys(settings)
    assert make_keys(settings) == first
    assert first.keys[0] not in repr(first)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    settings = Settings(data_dir=tmp_path, deid=Deid(key_file=tmp_path / "file" / "keys"))
    with pytest.raises(ConfigurationError, match="cannot be"):
        make_keys(settings)


def test_keys_and_comments(settings):
    path = key_file(settings)
    one, two = (Fernet.generate_key().decode() for _ in range(2))
    make_keys(settings)
    replace_keys(path, [one, two, one])
    keys = read_keys(settings)
    assert keys is not None
    assert keys.keys == (one, two)
    retire_keys(path, [two])
    retire_keys(path, [one])
    lines = retired_file(path).read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [two, one]
    assert [path.name for path in path.parent.iterdir() if path.name[0] == "."] == []
