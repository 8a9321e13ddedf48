from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

SECRET = "s" * 20 + "hunter2" + "s" * 20


def test_every_setting_is_shown_with_where_it_comes_from(command: Any) -> None:
    done = command("check-config", "--port", "0", "--json", ACCESS_TOKEN_EXPIRE_MINUTES="30")
    report = json.loads(done.out)
    assert (done.code, report["ok"]) == (0, True)
    shown = {line["setting"]: (line["value"], line["source"]) for line in report["settings"]}
    assert shown["HOLDFAST_PORT"] == ("0", "flag")
    assert shown["ACCESS_TOKEN_EXPIRE_MINUTES"] == ("30", "environment")
    assert shown["HOLDFAST_HOST"] == ("127.0.0.1", "default")


def test_secrets_are_never_shown(command: Any) -> None:
    done = command(
        "check-config",
        "--port",
        "0",
        SECRET_KEY=SECRET,
        HOLDFAST_PREVIOUS_SECRET_KEYS=SECRET,
        HOLDFAST_ADMIN_PASSWORD="hunter2-hunter2",
        HOLDFAST_DATABASE_URL="sqlite:///hunter2.db",
    )
    assert done.code == 0, done.text
    assert "hunter2" not in done.text
    assert done.out.count("(set, not shown)") == 4


def test_it_changes_nothing(command: Any, tmp_path: Path) -> None:
    assert command("check-config", "--port", "0").code == 0
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_wrong_is_told(command: Any) -> None:
    done = command("check-config", HOLDFAST_PORT="99999", SECRET_KEY="hunter2", HOLDFAST_LOG_LEVEL="loud")
    assert done.code == 2
    for name in ("HOLDFAST_PORT: ", "SECRET_KEY: ", "HOLDFAST_LOG_LEVEL: "):
        assert f"error: {name}" in done.err
    assert "99999" in done.out
    assert "hunter2" not in done.text
    assert "the server would not start" in done.err


def test_a_misspelt_variable_is_found(command: Any) -> None:
    done = command("check-config", "--port", "0", HOLDFAST_ALOWED_ORIGINS="https://a.example")
    assert done.code == 0
    assert (
        "HOLDFAST_ALOWED_ORIGINS: there is no such setting; did you mean HOLDFAST_ALLOWED_ORIGINS?"
        in done.err
    )


def test_what_the_fast_lane_reads_is_no_misspelling(command: Any) -> None:
    done = command("check-config", "--port", "0", HOLDFAST_TUNE_GC="0")
    assert done.code == 0
    assert "HOLDFAST_TUNE_GC" not in done.err
    close = command("check-config", "--port", "0", HOLDFAST_TUNE_CG="0")
    assert "HOLDFAST_TUNE_CG: there is no such setting; did you mean HOLDFAST_TUNE_GC?" in close.err


def test_a_taken_port_is_found(command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("check-config", "--port", str(taken.getsockname()[1]))
    assert done.code == 2
    assert "is taken" in done.err


def test_a_data_directory_that_cannot_be_is_found(command: Any, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    done = command("check-config", "--port", "0", "--data-dir", "a-file/data")
    assert done.code == 2
    assert "HOLDFAST_DATA_DIR" in done.err


def test_a_data_directory_that_others_can_read_is_worth_a_warning(command: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    done = command("check-config", "--port", "0")
    assert done.code == 0
    assert "chmod 700 data" in done.err


def test_a_file_that_is_no_database_is_found(command: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "holdfast.db").write_bytes(b"not a database, and long enough to be read as one" * 20)
    done = command("check-config", "--port", "0")
    assert done.code == 2
    assert "is not a database that can be read" in done.err


def test_plain_http_to_the_world_is_worth_a_warning(command: Any) -> None:
    done = command("check-config", "--port", "0", "--host", "0.0.0.0")
    assert done.code == 0
    assert "put a proxy with TLS in front" in done.err
    quiet = command("check-config", "--port", "0", "--host", "0.0.0.0", "--trusted-proxies", "10.0.0.1")
    assert "TLS" not in quiet.err
