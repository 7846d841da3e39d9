"""Settings: what is wrong is named, with its key, what was expected and what was found."""

import json
import re
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from dicomnode.config import Settings, default_models_dir, load_settings
from dicomnode.errors import SettingsError
from dicomnode.store.ledger import Ledger
from parts.hostile import WORDS

DEPLOYED = Path(__file__).resolve().parents[1] / "deploy" / "node.toml"
LEAST = '[node]\ndata_dir = "/srv/node"\n'
DESTINATION = '[[destination]]\nname = "{name}"\nae_title = "PACS"\nhost = "h"\nport = 104\n'


def settings(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "node.toml"
    path.write_text(text)
    return load_settings(path)


def test_only_the_data_directory_has_no_default(tmp_path: Path) -> None:
    found = settings(tmp_path, LEAST)
    assert found.node.port == 11112
    assert found.settle.quiet_s == 30
    assert found.models.directory == default_models_dir()
    assert found.ledger_url == "sqlite:////srv/node/ledger.sqlite"
    with pytest.raises(SettingsError, match="node: expected a value, found none"):
        settings(tmp_path, "")


@pytest.mark.parametrize("word", [word for word in WORDS.values() if word != "US1\udcff"])
def test_a_value_is_never_more_than_a_value(tmp_path: Path, word: str) -> None:
    """What names a peer must be a name; what is refused is quoted, not obeyed."""
    quoted = json.dumps(word.encode(errors="replace").decode())
    for text in (
        f"ae_title = {quoted}",
        f"port = {quoted}",
        f"[[destination]]\nname = {quoted}\nae_title = 'P'\nhost = 'h'\nport = 104",
        f"[recipe]\n{quoted} = 1",
        f"[log]\nformat = {quoted}",
    ):
        with pytest.raises(SettingsError) as refused:
            settings(tmp_path, LEAST + text)
        assert all(line.isprintable() for line in str(refused.value).split("\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prt = 1", "node.prt: unknown key; did you mean 'port'?"),
        ("port = 70000", "node.port: input should be less than or equal to 65535, found 70000"),
        ('ae_title = "A\\\\B"', r"node.ae_title: string should match"),
        ('ae_title = "SEVENTEEN LETTERS"', "node.ae_title"),
        ("[nod]", "nod: unknown key; did you mean 'node'?"),
        ("[settle]\nquiet_s = 0", "settle.quiet_s: input should be greater than or equal to 0.1"),
        ('[settle]\nconflicting_instances = "newest"', "'first', 'last' or 'refuse'"),
        ("[recipe]\ntime_bins = 4", "time_bins: expected 8 bins or more, got 4"),
        ("[recipe]\nsmoothing_px = -1", "smoothing_px: expected 0 pixels or more, got -1"),
        ("[recipe]\ndynamic_range = 60", "recipe: unknown key 'dynamic_range'; did you mean"),
        (DESTINATION.format(name="P A"), "destination.0.name"),
        (DESTINATION.format(name="p") + 'hots = "x"', "destination.0.hots: unknown key"),
        (DESTINATION.format(name="p") + 'transfer_syntax = "jpeg"', "'original' or 'uncompressed'"),
        (
            DESTINATION.format(name="p") + 'transport = "pigeon"',
            "destination.0.transport: expected one of c-store, found 'pigeon'",
        ),
        (DESTINATION.format(name="p") * 2, "destination: each name once, found twice: p"),
        (DESTINATION.format(name="p") + "tls = true", "tls: ca is needed"),
        ("[tls]\nreceive = true", "tls: certificate, key and ca are needed"),
        ("=", "expected TOML in"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        settings(tmp_path, LEAST + text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected a settings file at .*absent\.toml"):
        load_settings(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///:memory:",
        "sqlite:///%3Amemory%3A",
        "sqlite:///?timeout=3",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file:x?vfs=memdb&uri=true",
        "sqlite:////var/lib/ledger.sqlite?uri=true",
        "sqlite:///ledger.sqlite",
        "sqlite:///~/ledger.sqlite",
    ],
)
def test_a_ledger_in_no_file_of_a_whole_path_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"database\.url: expected a file"):
        settings(tmp_path, LEAST + f'[database]\nurl = "{url}"')


@pytest.mark.parametrize(
    "url", ["mysql://node:hunter2@h/d", "postgresql+psycopg://node:hunter2@h:port/d"]
)
def test_a_password_in_a_wrong_url_is_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"database\.url") as caught:
        settings(tmp_path, LEAST + f'[database]\nurl = "{url}"')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b", "ü b"])
def test_the_ledger_lies_in_the_data_directory_whatever_that_is_called(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    found = settings(tmp_path, f'[node]\ndata_dir = "{tmp_path / name}"\n')
    with closing(Ledger(found.ledger_url)):
        assert (tmp_path / name / "ledger.sqlite").exists()


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DICOMNODE__NODE__PORT", "11113")
    monkeypatch.setenv("DICOMNODE__ACCEPT", '[{"ae_title": "US1", "hosts": ["::1"]}]')
    found = settings(tmp_path, LEAST + 'port = 1\nae_title = "KEPT"')
    assert (found.node.port, found.node.ae_title) == (11113, "KEPT")
    assert found.accept[0].hosts == ("::1",)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DICOMNODE__NODE__PROT", "1", "node.prot: unknown key; did you mean 'port'?"),
        ("DICOMNODE__NOD__PORT", "1", "unknown section 'nod'; did you mean 'node'?"),
        ("DICOMNODE__ACCEPT", "US1", "the environment cannot be used"),
    ],
)
def test_the_environment_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=re.escape(said)):
        settings(tmp_path, LEAST)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    found = settings(tmp_path, LEAST)
    with pytest.raises(ValueError, match="frozen"):
        found.node.port = 1  # type: ignore[misc]


def test_the_deployed_file_names_every_key_with_its_default(tmp_path: Path) -> None:
    text = DEPLOYED.read_text()
    loaded = load_settings(DEPLOYED)
    uncommented = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    named = tomllib.loads(uncommented)
    for section, field in Settings.model_fields.items():
        value = getattr(loaded, section)
        keys = set(named[section][0] if isinstance(value, tuple) else named[section])
        model = value[0] if isinstance(value, tuple) else value
        expected = set(getattr(type(model), "model_fields", None) or vars(model))
        assert keys == expected, section
        if section in ("settle", "delivery", "web", "tls", "retention", "log", "recipe"):
            assert value == field.default, f"[{section}] states the defaults"
    assert loaded.node.data_dir == Path("/var/lib/dicomnode")
