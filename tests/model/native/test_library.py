"""The kernels' library: built once, kept whole, checked before it is used; every fault has its words."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.native import library, library_cache
from model.native.levels import ABI_VERSION, LEVELS, level_named, supported_levels
from model.native.library import (
    BuildSettings,
    NativeUnavailable,
    build_library,
    check_library,
    choose_level,
    find_library,
    open_library,
)
from tests.model.native.small_library import pretended_compiler, settings_in
from tests.model.native.spoilt_cache import (
    let_others_write,
    nest_record,
    put_a_pipe_there,
    remove_library,
    spoil_content,
    spoil_record,
    write_size_in_words,
)
from tests.server_process import ROOT, wait_until_gone

GENERIC = level_named("generic")
IS_ROOT = os.geteuid() == 0


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_built_once_and_then_found(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = build_library(settings, GENERIC)
    again = build_library(settings, GENERIC)
    assert not first.was_there
    assert first.seconds > 0
    assert again.was_there
    assert (again.path, again.record) == (first.path, first.record)
    assert find_library(settings, GENERIC) == again
    assert open_library(settings, "generic", build=False).functions.answer() == 42
    assert first.record.compiler
    stem = first.path.stem
    assert names_in(first.path.parent) == [f"{stem}.json", f"{stem}.lock", f"{stem}.so"]


def test_what_is_built_where_groups_may_write_is_used_again(tmp_path: Path) -> None:
    """Many systems give users an umask of 002; others' right to write is what makes a record worthless."""
    settings, before = settings_in(tmp_path), os.umask(0o002)
    try:
        build_library(settings, GENERIC)
    finally:
        os.umask(before)
    assert find_library(settings, GENERIC).was_there
    assert build_library(settings, GENERIC).was_there


def test_the_fastest_level_of_this_processor_is_chosen(tmp_path: Path) -> None:
    opened = open_library(settings_in(tmp_path))
    assert opened.level == supported_levels()[0] == choose_level()
    assert opened.functions.answer() == 42


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_every_level_is_built_whatever_this_processor_can_run(tmp_path: Path, level: library.Level) -> None:
    if not level.exists_here():
        pytest.skip(f"{level.name} is not built on this architecture")
    settings = settings_in(tmp_path)
    assert build_library(settings, level).path.name.startswith(f"verto-{level.name}-")


def test_a_level_that_the_processor_lacks_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "supported_levels", lambda: [GENERIC])
    with pytest.raises(NativeUnavailable, match="does not have the instructions of level avx2"):
        open_library(settings_in(tmp_path), "avx2")


def test_without_a_compiler_what_was_built_elsewhere_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    build_library(settings, GENERIC)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert open_library(settings, "generic").functions.answer() == 42


def test_without_a_compiler_and_a_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NativeUnavailable, match=r"no C\+\+ compiler found .* apt-get install g\+\+"):
        open_library(settings, "generic")
    with pytest.raises(NativeUnavailable, match="have not been built yet") as missing:
        open_library(settings, "generic", build=False)
    assert missing.value.is_missing


def test_a_compiler_that_is_no_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(NativeUnavailable, match=r"'no-such-c\+\+' \(setting cxx\) is not a program"):
        build_library(settings_in(tmp_path, compiler="no-such-c++ -v"), GENERIC)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'verto.cpp:1: warning: w' >&2; echo 'verto.cpp:2: error: bad' >&2; exit 1", "2: error: bad"),
        ("exit 3", "failed with status 3: it said nothing"),
        ("kill -9 $$", "was ended by signal 9, as it may be where memory runs out"),
        ('for last; do :; done; mkdir "$last"', "without an error and without a library"),
        ("exit 0", "without an error and without a library"),
        ('for last; do :; done; echo no library > "$last"', "is of no use"),
    ],
)
def test_a_compiler_that_fails_leaves_nothing_but_its_words(tmp_path: Path, script: str, words: str) -> None:
    settings = settings_in(tmp_path, compiler=pretended_compiler(tmp_path / "cc", script))
    with pytest.raises(NativeUnavailable) as caught:
        build_library(settings, GENERIC)
    assert words in caught.value.reason
    assert [name for name in names_in(settings.cache_dir / "native") if not name.endswith(".lock")] == []


def test_a_compiler_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.native.compiler.COMPILE_SECONDS", 0.05)
    settings = settings_in(tmp_path, compiler=pretended_compiler(tmp_path / "cc", "exec sleep 60"))
    with pytest.raises(NativeUnavailable, match="did not end within"):
        build_library(settings, GENERIC)


def test_of_a_compiler_that_is_given_up_nothing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.native.compiler.COMPILE_SECONDS", 0.5)
    child = tmp_path / "child"
    script = f"sleep 600 >/dev/null 2>&1 & echo $! > {child}; wait"
    with pytest.raises(NativeUnavailable, match="did not end within"):
        build_library(settings_in(tmp_path, compiler=pretended_compiler(tmp_path / "cc", script)), GENERIC)
    wait_until_gone(int(child.read_text()))


def test_a_compilers_command_with_an_open_quote_is_named(tmp_path: Path) -> None:
    with pytest.raises(NativeUnavailable, match=r'"\'g\+\+" \(setting cxx\) is no command line: No closing'):
        build_library(settings_in(tmp_path, compiler="'g++"), GENERIC)


def test_sources_that_do_not_compile_are_told_by_the_compilers_first_error(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, check="return no_such_thing;")
    with pytest.raises(NativeUnavailable, match=r"verto\.cpp.*no_such_thing"):
        build_library(settings, GENERIC)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("return 7;", r"its self-check failed \(result 7\)"),
        ("__builtin_trap();", "its self-check was ended by signal 4"),
    ],
)
def test_a_library_that_cannot_run_here_is_not_used_and_harms_nobody(
    tmp_path: Path, check: str, words: str
) -> None:
    with pytest.raises(NativeUnavailable, match=words):
        open_library(settings_in(tmp_path, check=check), "generic")


def test_a_library_of_another_abi_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, abi=ABI_VERSION + 1)
    with pytest.raises(NativeUnavailable, match=f"its ABI version is {ABI_VERSION + 1}, not {ABI_VERSION}"):
        build_library(settings, GENERIC)
    with monkeypatch.context() as patch:
        patch.setattr(library, "_self_check", lambda path: "")
        built = build_library(settings, GENERIC)
    with pytest.raises(NativeUnavailable, match="its ABI version"):
        check_library(built)


def test_changed_sources_are_another_library(tmp_path: Path) -> None:
    old = build_library(settings_in(tmp_path), GENERIC)
    settings = settings_in(tmp_path, answer=43)
    assert build_library(settings, GENERIC).path != old.path
    assert open_library(settings, "generic").functions.answer() == 43


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_content, "its SHA-256 is not the one in"),
        (spoil_record, "not a record of a library"),
        (nest_record, "not a record of a library"),
        (write_size_in_words, r"not a record of a library \(its size is 'large'\)"),
        (put_a_pipe_there, r"\.so: not a file"),
        (remove_library, "missing"),
        (let_others_write, r"may be written by others \(mode 777\)"),
    ],
)
def test_a_spoilt_cache_is_named_and_built_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object, words: str
) -> None:
    settings = settings_in(tmp_path)
    path = build_library(settings, GENERIC).path
    assert callable(spoil)
    spoil(path)
    with pytest.raises(NativeUnavailable, match=words) as caught:
        find_library(settings, GENERIC)
    assert not caught.value.is_missing
    assert not build_library(settings, GENERIC).was_there
    assert [record.message for record in caplog.records if "built again" in record.message] == [
        f"a library in the cache is not used, and built again: {caught.value.reason}"
    ]
    assert open_library(settings, "generic", build=False).functions.answer() == 42


def put_there(path: Path, content: bytes) -> None:
    """As somebody would who has the right to: with the record that goes with it."""
    record = json.loads(path.with_suffix(".json").read_text())
    path.unlink()
    path.write_bytes(content)
    told = {**record, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    path.with_suffix(".json").write_text(json.dumps(told))


@pytest.mark.parametrize("content", [b"text", b"", b"\x7fELF" + bytes(2000)])
def test_what_its_record_fits_and_what_does_not_run_is_built_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    settings = settings_in(tmp_path)
    path = build_library(settings, GENERIC).path
    put_there(path, content)
    with pytest.raises(NativeUnavailable) as caught:
        open_library(settings, "generic", build=False)
    assert caught.value.reason.count(str(path)) == 1
    assert open_library(settings, "generic").functions.answer() == 42
    assert "built again" in caplog.text
    assert build_library(settings, GENERIC).was_there


def test_a_folder_that_nothing_is_run_from_is_told_with_the_way_out(tmp_path: Path) -> None:
    """What the loader says there, since no test can mount one."""
    said = f"{tmp_path}/a.so: failed to map segment from shared object"
    code = (
        "import ctypes, sys; from model.native import self_check_program as program;"
        "ctypes.CDLL = lambda path: (_ for _ in ()).throw(OSError(sys.argv[1]));"
        "print(program.check(sys.argv[2], 1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, said, f"{tmp_path}/a.so"], cwd=ROOT, capture_output=True, text=True
    )
    fault = "failed to map segment from shared object"
    assert done.stdout == f"{fault}; if its folder is mounted noexec, set VERTO_CACHE_DIR to another one\n"


@pytest.mark.parametrize("suffix", [".so", ".json", ".lock"])
def test_a_folder_in_a_files_place_is_named_with_the_way_out(tmp_path: Path, suffix: str) -> None:
    settings = settings_in(tmp_path)
    path = build_library(settings, GENERIC).path.with_suffix(suffix)
    path.unlink()
    path.mkdir()
    with pytest.raises(NativeUnavailable) as caught:
        build_library(settings, GENERIC, anew=True)
    way_out = "make room for built kernels there, or set VERTO_CACHE_DIR to another folder"
    assert caught.value.reason.endswith(f"cannot be built: {path}: Is a directory; {way_out}")


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(library_cache.fcntl, "flock", refuse)
    with pytest.raises(NativeUnavailable, match=r"native: No locks available; .* VERTO_CACHE_DIR"):
        build_library(settings_in(tmp_path), GENERIC)


def test_who_holds_the_lock_for_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    lock = build_library(settings, GENERIC).path.with_suffix(".lock")
    monkeypatch.setattr(library_cache, "LOCK_SECONDS", 0.3)
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NativeUnavailable, match=r"lock: held by another process for 0.3 s; end the one"):
            build_library(settings, GENERIC, anew=True)


def test_a_library_that_somebody_else_has_put_there_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    path = build_library(settings, GENERIC).path
    monkeypatch.setattr(library_cache.os, "geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        os.chown(path, 4242, -1)
    with pytest.raises(NativeUnavailable, match="belongs to user"):
        find_library(settings, GENERIC)


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_cache_folder_that_cannot_be_one_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" if kind == "a file" else tmp_path / "file" / "cache"
    settings = BuildSettings(cache_dir=folder, sources=settings_in(tmp_path).sources)
    with pytest.raises(NativeUnavailable, match=f"{tmp_path / 'file'}.*: "):
        build_library(settings, GENERIC)


@pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
def test_a_cache_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.cache_dir.mkdir(mode=0o500)
    with pytest.raises(NativeUnavailable, match="Permission denied"):
        build_library(settings, GENERIC)


def test_a_whole_library_in_a_folder_that_is_only_read_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    build_library(settings, GENERIC)

    really_open = os.open

    def refuse(path: object, *others: int) -> int:
        if str(path).endswith(".lock"):
            raise OSError(30, "Read-only file system")
        return really_open(path, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(library_cache.os, "open", refuse)
    assert open_library(settings, "generic").functions.answer() == 42
    with pytest.raises(NativeUnavailable, match="Read-only file system"):
        build_library(settings, GENERIC, anew=True)


def test_a_full_disk_leaves_no_half_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(library_cache, "_through_to_the_disk", full)
    settings = settings_in(tmp_path)
    with pytest.raises(NativeUnavailable, match="No space left on device"):
        build_library(settings, GENERIC)
    assert [name for name in names_in(settings.cache_dir / "native") if not name.endswith(".lock")] == []


def test_what_a_killed_builder_has_left_is_cleared_away(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    built = build_library(settings, GENERIC)
    stem = f".{built.path.stem}"
    leftover, folder = (built.path.parent / f"{stem}.{pid}.partial" for pid in (1, 2))
    leftover.write_text("half")
    folder.mkdir()
    build_library(settings, GENERIC, anew=True)
    assert not leftover.exists()
    assert not folder.exists()


def test_of_several_processes_one_builds_and_all_have_it(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f'echo built >> {count}; sleep 0.3; exec c++ "$@"'
    settings = settings_in(tmp_path, compiler=pretended_compiler(tmp_path / "cc", script))
    code = (
        "import sys; from pathlib import Path; from model.native.library import *;"
        "cache, compiler, sources = sys.argv[1:];"
        "settings = BuildSettings(cache_dir=Path(cache), compiler=compiler, sources=Path(sources));"
        "sys.exit(open_library(settings, 'generic').functions.answer())"
    )
    command = [sys.executable, "-c", code, settings.cache_dir, settings.compiler, settings.sources]
    builders = [subprocess.Popen(list(map(str, command)), cwd=ROOT) for _ in range(3)]
    assert [builder.wait(120) for builder in builders] == [42, 42, 42]
    assert count.read_text() == "built\n"


def test_the_builder_does_not_import_torch() -> None:
    code = "import sys, model.native.library; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_compiler_that_does_not_know_the_newest_instructions_builds_without_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = """case "$*" in *-mamx-tile*) echo "error: unknown option -mamx-tile" >&2; exit 1;; esac
    exec c++ "$@"
    """
    settings = settings_in(tmp_path, compiler=pretended_compiler(tmp_path / "cc", script))
    assert build_library(settings, level_named("amx")).path.is_file()
    assert "level amx is built without -mamx-tile -mamx-int8 -mamx-bf16" in caplog.text
    assert "unknown option -mamx-tile" in caplog.text
