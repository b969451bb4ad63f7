"""The URL of the database: valid forms, and no message repeats a password."""

from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.settings.load import load_settings
from farebox.pipeline.settings.metadata import MetadataSettings, Server


def settings_with(metadata: str) -> MetadataSettings:
    return load_settings("chicago", None, overrides=[f"metadata={metadata}"]).metadata


def test_the_default_is_the_file_in_runs():
    metadata = load_settings("chicago").metadata
    assert (metadata.url, metadata.file, metadata.server) == ("sqlite", None, None)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("mysql://farebox@db.example/mlmd", Server("mysql", "db.example", 3306, "farebox", "mlmd")),
        ("mysql://farebox@db/mlmd?ssl=true", Server("mysql", "db", 3306, "farebox", "mlmd", ssl=True)),
        ("postgresql://farebox@[::1]:5433/mlmd", Server("postgresql", "::1", 5433, "farebox", "mlmd")),
        ("postgresql://fare%40box@db/ml%20md", Server("postgresql", "db", 5432, "fare@box", "ml md")),
    ],
)
def test_a_server(url, server):
    metadata = settings_with(url)
    assert (metadata.server, metadata.file) == (server, None)
    assert MetadataSettings(str(server)).server == server


@pytest.mark.parametrize(
    ("url", "file"), [("sqlite:///kept/mlmd.sqlite", "kept/mlmd.sqlite"), ("sqlite:////var/mlmd", "/var/mlmd")]
)
def test_a_file(url, file):
    metadata = settings_with(url)
    assert (metadata.file, metadata.server) == (Path(file), None)


def test_a_section_means_the_same_as_a_url():
    assert settings_with("{url: mysql://u@h/d}") == settings_with("mysql://u@h/d")


@pytest.mark.parametrize(
    "url",
    [
        "mysql", "mysql://h/d", "mysql://u@/d", "mysql://u@h", "mysql://u@h/", "mysql://u@h/d/e", "mysql://u@h:0x/d",
        "mysql://u@h:99999/d", "mysql://h:3306/d", "oracle://u@h/d", "postgres://u@h/d", "sqlite://x", "''", "mysql://u@h/d#x",
    ],
)  # fmt: skip
def test_a_url_of_another_form_is_refused(url):
    with pytest.raises(InputError) as refused:
        settings_with(url)
    assert "overrides: metadata=" in str(refused.value)
    assert str(refused.value).endswith(
        " must be sqlite, sqlite:///FILE, mysql://USER@HOST:PORT/DATABASE or postgresql://USER@HOST:PORT/DATABASE"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u@h/d?ssl=true", "ssl must go with mysql, MLMD's PostgreSQL client has no TLS: use a tunnel"),
        ("mysql://u@h/d?charset=utf8", r"\?charset=utf8 must be \?ssl=true or nothing"),
    ],
)
def test_options_that_mlmd_does_not_have(url, why):
    with pytest.raises(InputError, match=why):
        settings_with(url)


@pytest.mark.parametrize("kind", ["mysql", "postgresql", "oracle", "sqlite"])
@pytest.mark.parametrize("form", ["{}", "'{}'", "{{url: '{}'}}", "['{}']", "{{password: '{}'}}", "{}: x", "'{}"])
@pytest.mark.parametrize("password", ["geheim", "ge@heim", "geheim/", "ge heim", "geheim?"])
def test_a_password_is_refused_and_not_repeated(kind, form, password):
    with pytest.raises(InputError) as refused:
        settings_with(form.format(f"{kind}://farebox:{password}@db/mlmd"))
    assert "heim" not in str(refused.value)


def test_the_message_names_the_variables_for_a_password():
    why = r"metadata=mysql://u:\*\*\*@h/d must not hold a password: give it in the environment, MYSQL_PWD or PGPASSWORD"
    with pytest.raises(InputError, match=why):
        settings_with("mysql://u:geheim@h/d")
