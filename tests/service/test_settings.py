"""Settings come from the command line, then the environment, then defaults."""

import tempfile
from pathlib import Path

import pytest

from service.processors import usable_processors
from service.settings import Settings, SettingsError, default_cache_dir, default_models_dir, resolve_settings


def test_the_command_line_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERTO_PORT", "9001")
    monkeypatch.setenv("VERTO_HOST", "0.0.0.0")
    resolved = resolve_settings({"port": 9002, "host": None})
    assert (resolved.settings.port, resolved.settings.host, resolved.settings.max_rows) == (
        9002,
        "0.0.0.0",
        96,
    )
    assert [resolved.origins[name] for name in ("port", "host", "max_rows")] == [
        "command line",
        "environment VERTO_HOST",
        "default",
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "70000", "less than or equal to 65535"),
        ("port", "eighty", "valid integer"),
        ("max_rows", "8", "greater than or equal to 32"),
        ("device", "tpu", "must be auto, cpu, cuda or cuda:N; auto takes a GPU where there is one, got"),
        ("traces_endpoint", "collector", "must be OTLP/HTTP address of a collector"),
        ("traces_endpoint", "http://[::1:4318", "must be an address such as http://collector:4318: Invalid"),
        ("traces_endpoint", "http://collector:431800", "http://collector:4318: Port"),
        ("engine", "fork", "'process' or 'thread'"),
        ("engine_stuck_seconds", "0", "greater than 0"),
        ("precision", "int4", "'float32', 'bfloat16'"),
        ("kernels", "fast", "'auto', 'native' or 'eager'"),
        ("log_format", "xml", "'auto', 'json' or 'text'"),
        ("heartbeat_seconds", "0", "greater than 0"),
        ("num_threads", "0", "greater than or equal to 1"),
        ("num_threads", "1024", f"must be at most {4 * usable_processors()}, 4 for each usable processor"),
    ],
)
def test_a_value_out_of_bounds_is_refused_naming_setting_source_bound_and_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"VERTO_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        resolve_settings()
    message = str(caught.value)
    assert message.startswith(f"{name} (environment VERTO_{name.upper()}): ")
    assert words in message
    assert message.endswith(f"got {value!r}")


def test_a_misspelt_variable_is_refused_with_the_likely_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTO_MAX_ROW", "64")
    with pytest.raises(
        SettingsError, match="VERTO_MAX_ROW is no setting of Verto; did you mean VERTO_MAX_ROWS"
    ):
        resolve_settings()


def test_the_variables_of_a_kubernetes_service_called_verto_are_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERTO_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("VERTO_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("VERTO_SERVICE_PORT_HTTP", "8000")
    monkeypatch.setenv("VERTO_PORT_8000_TCP_ADDR", "10.0.0.1")
    assert resolve_settings().settings.port == 8000


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTO_PORT", "")
    assert resolve_settings().origins["port"] == "default"


def test_settings_cannot_be_changed_or_extended() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1
    with pytest.raises(SettingsError, match="prot"):
        resolve_settings({"prot": 1})


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_bundles_are_looked_for_beside_the_packages_else_in_the_current_folder() -> None:
    root = Path(__file__).resolve().parents[2]
    beside = root / "checkpoints"
    assert default_models_dir() == (beside if beside.is_dir() else Path("checkpoints"))


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "verto"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "verto"
    monkeypatch.setenv("VERTO_CACHE_DIR", str(tmp_path / "own"))
    assert resolve_settings().settings.cache_dir == tmp_path / "own"


def test_a_user_without_a_home_has_a_cache_among_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert default_cache_dir().parent == Path(tempfile.gettempdir())
