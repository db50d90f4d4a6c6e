"""The command shell: quick, lazy, and one clear line for a known fault."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cli import main as shell

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    """What a fresh interpreter prints, which has imported nothing yet."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["verto", *arguments])
    with pytest.raises(SystemExit) as ended:
        shell.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"], ["models", "--help"]])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    printed = run_python(f"""
        import sys
        from cli.main import build_app
        try:
            build_app()({arguments!r})
        except SystemExit as ended:
            assert not ended.code, ended.code
        slow = {{"torch", "fastapi", "uvicorn", "numpy", "model", "service", "training"}} & set(sys.modules)
        print("slow:", sorted(slow))
    """)
    assert printed.endswith("slow: []\n")


def test_help_lists_every_command_that_exists_with_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "--help") == 0
    printed = capsys.readouterr().out
    for name, text in shell.available_commands().items():
        assert f"  {name} " in printed
        assert text in printed
    assert {"serve", "models"} <= set(shell.available_commands())
    assert "  verto serve --port 9000" in printed


@pytest.mark.parametrize("group", [[], ["data"], ["models"], ["loadtest"]])
def test_every_command_shows_examples_and_a_line_that_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_main(monkeypatch, *group, "--help") == 0
    _, _, listed = capsys.readouterr().out.partition("\nCommands:\n")
    assert "..." not in listed
    for line in listed.splitlines():
        assert run_main(monkeypatch, *group, line.split()[0], "--help") == 0
        assert "\n  Examples:\n" in capsys.readouterr().out


def test_a_command_without_a_file_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shell.COMMANDS, "nothing_of_that_name", "Does nothing.")
    assert "nothing_of_that_name" not in shell.available_commands()


def test_every_command_has_a_function_run_with_help() -> None:
    for name in shell.available_commands():
        assert shell.load_command(name).help


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"verto {shell.version()}\n"


@pytest.mark.parametrize(("arguments", "words"), [(["sevre"], "serve"), (["serve", "--prt", "1"], "--port")])
def test_a_slip_of_the_pen_is_answered_with_the_likely_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run_main(monkeypatch, *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_known_fault_is_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "serve", "--port", "99999") == 2
    error = capsys.readouterr().err
    assert error == ("verto: port (command line): Input should be less than or equal to 65535, got 99999\n")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (
            ["data", "split", "a", "b", "c", "--dev", "0"],
            "'--dev': Input should be greater than or equal to 1, got '0'",
        ),
        (
            ["health", "--timeout-seconds", "soon"],
            "'--timeout-seconds': Input should be a valid number, got 'soon'",
        ),
        (
            ["evaluate", "x", "--length-unit", "pages"],
            "'--length-unit': 'pages' is not one of 'words', 'characters'.",
        ),
    ],
)
def test_a_refused_value_is_told_with_field_bound_and_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run_main(monkeypatch, *arguments) == 2
    assert f"Error: Invalid value for {fault}\n" in capsys.readouterr().err


def test_a_files_fault_names_the_file() -> None:
    assert shell.one_line(FileNotFoundError(2, "No such file or directory", "in.txt")) == (
        "in.txt: No such file or directory"
    )
    assert shell.one_line(OSError(28, "No space left on device")) == "No space left on device"
    assert shell.one_line(OSError(22, "line 1: got 'two\nlines'", "in  1.txt")) == (
        "in  1.txt: line 1: got 'two lines'"
    )
    assert shell.one_line(ValueError("two\n  lines")) == "two lines"


def test_memory_that_runs_out_is_a_fault_of_the_machine_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise MemoryError  # it comes without a word

    monkeypatch.setattr(shell, "build_app", lambda: fail)
    with pytest.raises(SystemExit) as ended:
        shell.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "verto: memory ran out; give it more\n"


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shell, "build_app", lambda: lambda **options: broken())
    with pytest.raises(ZeroDivisionError):
        shell.main()


def test_the_modules_of_known_errors_hold_them() -> None:
    printed = run_python("""
        import importlib
        from cli.main import _KNOWN_ERRORS, known_errors
        for name in _KNOWN_ERRORS:
            importlib.import_module(name)
        print(len(known_errors()), sum(map(len, _KNOWN_ERRORS.values())) + 2)  # OSError and MemoryError
    """)
    found, listed = printed.split()
    assert found == listed
