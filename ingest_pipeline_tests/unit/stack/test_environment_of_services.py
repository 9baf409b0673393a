"""Where the stack runs: Dagster's home, the demo's separation from real data, ports and probes."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from ingest_pipeline.environment import file_variables
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import load_settings
from ingest_pipeline.stack.dagster_home import TEMPLATE, prepare_dagster_home
from ingest_pipeline.stack.deployment import (
    REAL_DATA_VARIABLES,
    banner,
    demo_deployment,
    real_deployment,
    write_missing_files,
)
from ingest_pipeline.stack.services import (
    answers_http,
    answers_on_socket,
    dagster_services,
    require_free_port,
    web_url,
)
from ingest_pipeline.userconfig.session_files import read_sessions


def test_dagsters_home_defaults_to_storage_in_itself(tmp_path: Path) -> None:
    """Nothing said means the checkout's configuration as it is, without a storage section."""
    home = prepare_dagster_home(tmp_path / "dagster", {})
    assert (home.folder / "dagster.yaml").read_text() == TEMPLATE.read_text()
    assert "storage" not in yaml.safe_load(TEMPLATE.read_text())


def test_postgresql_for_dagster_is_named_but_its_address_not_written(tmp_path: Path) -> None:
    """The file names the variable; the password stays in the environment."""
    environment = {"INGEST_DAGSTER_POSTGRES_URL": "postgresql://me:p4ssword@host/dagster"}
    home = prepare_dagster_home(tmp_path / "dagster", environment)
    text = (home.folder / "dagster.yaml").read_text()
    assert yaml.safe_load(text)["storage"]["postgres"]["postgres_url"] == {
        "env": "INGEST_DAGSTER_POSTGRES_URL"
    }
    assert "p4ssword" not in text


def test_unchanged_configuration_is_not_written_again(tmp_path: Path) -> None:
    """A second start leaves the files alone, and a change arrives."""
    home = prepare_dagster_home(tmp_path, {})
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    prepare_dagster_home(tmp_path, {})
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == before
    (tmp_path / "dagster.yaml").write_text("old: true\n")
    prepare_dagster_home(tmp_path, {})
    assert (home.folder / "dagster.yaml").read_text() == TEMPLATE.read_text()


def test_the_workspace_points_to_the_code_servers_socket(tmp_path: Path) -> None:
    """Webserver and daemon find the one code server under the code location's name."""
    home = prepare_dagster_home(tmp_path, {})
    server = yaml.safe_load(home.workspace.read_text())["load_from"][0]["grpc_server"]
    assert server == {"socket": str(home.code_socket), "location_name": "ingest_pipeline.definitions"}


def test_a_long_data_folder_still_gets_a_socket_that_can_be_bound(tmp_path: Path) -> None:
    """Socket paths are short by law of the kernel; the folder may be deep."""
    home = prepare_dagster_home(tmp_path / ("deep" * 40), {})
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home.code_socket))
        server.listen()
        assert answers_on_socket(home.code_socket)
    assert home.code_socket.parent.stat().st_mode & 0o077 == 0
    home.code_socket.unlink()
    home.code_socket.parent.rmdir()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message names the folder and the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="INGEST_DATA_DIR"):
        prepare_dagster_home(tmp_path / "file" / "dagster", {})


def test_the_demo_sees_nothing_of_real_data(tmp_path: Path) -> None:
    """No variable that leads to real data or accounts reaches the demo with its real value."""
    environment = dict.fromkeys(REAL_DATA_VARIABLES, "real-value") | {
        "PATH": "p",
        "POLL_INTERVAL_SECONDS": "5",
    }
    deployment = demo_deployment(load_settings(data_dir=tmp_path), environment)
    assert deployment.is_demo
    assert deployment.data_dir == tmp_path / "demo"
    assert "real-value" not in deployment.environment.values()
    assert deployment.environment["INGEST_DATA_DIR"] == str(tmp_path / "demo")
    assert deployment.environment["DAGSTER_HOME"] == str(tmp_path / "demo" / "dagster")
    assert deployment.environment["POLL_INTERVAL_SECONDS"] == "5"
    assert "INGEST_DATABASE_URL" not in deployment.environment


def test_a_command_in_the_demos_folder_is_about_the_demo(tmp_path: Path) -> None:
    """The folder's .env gives the demo's data folder, exporter and token."""
    deployment = demo_deployment(load_settings(data_dir=tmp_path), {})
    settings = load_settings(deployment.data_dir / ".env")
    assert settings.data_dir == tmp_path / "demo"
    assert str(settings.exporter_path) == deployment.environment["INGEST_EXPORTER_PATH"]
    assert settings.discord_oauth_token is not None


def test_the_demo_sees_no_real_data_under_a_name_in_lower_case_either(tmp_path: Path) -> None:
    """Settings are taken from the environment whatever the case of their names."""
    environment = {name.lower(): "real-value" for name in REAL_DATA_VARIABLES}
    assert (
        "real-value"
        not in demo_deployment(load_settings(data_dir=tmp_path), environment).environment.values()
    )


def test_the_parts_read_no_env_file_again(tmp_path: Path) -> None:
    """What the stack has read is all in their environment."""
    for deployment in (demo_deployment, real_deployment):
        environment = deployment(load_settings(data_dir=tmp_path), {}).environment
        assert file_variables(environment, tmp_path / "demo") == {}


def test_a_data_folder_with_a_quote_in_its_name_can_hold_the_demo(tmp_path: Path) -> None:
    """Its .env is read as it was written."""
    folder = tmp_path / "it's mine"
    deployment = demo_deployment(load_settings(data_dir=folder), {})
    assert load_settings(deployment.data_dir / ".env").data_dir == folder / "demo"


def test_real_parts_get_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts run in another folder, so relative settings are resolved here."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(data_dir="here", landing_url="landed", exporter_path="bin/cli")
    environment = real_deployment(settings, {"HOME": "h"}).environment
    assert environment["INGEST_DATA_DIR"] == str(tmp_path / "here")
    assert environment["INGEST_LANDING_URL"] == str(tmp_path / "landed")
    assert environment["INGEST_EXPORTER_PATH"] == str(tmp_path / "bin" / "cli")
    assert environment["HOME"] == "h"
    bucket = real_deployment(load_settings(landing_url="s3://bucket/x"), {}).environment
    assert "INGEST_LANDING_URL" not in bucket


def test_the_files_that_a_user_edits_are_written_once(tmp_path: Path) -> None:
    """With their examples, and never over what is there; the driver table stays with the package."""
    (tmp_path / "settings.yaml").write_text("monitor: [mine]\n")
    write_missing_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sessions.yaml", "settings.yaml"]
    assert (tmp_path / "settings.yaml").read_text() == "monitor: [mine]\n"
    assert "start_time" in (tmp_path / "sessions.yaml").read_text()
    assert read_sessions(tmp_path / "sessions.yaml", default_channel_id=None) == []


def test_no_secret_stands_in_a_command(tmp_path: Path) -> None:
    """Any user of the machine can list command lines; they hold paths and numbers only."""
    parts = dagster_services(tmp_path / "w.yaml", tmp_path / "s", "127.0.0.1", 3000)
    assert [part.name for part in parts] == ["code", "daemon", "webserver"]
    assert not any("oken" in word for part in parts for word in part.command)


def test_a_taken_port_is_refused_and_a_free_one_is_not() -> None:
    """The message names the port and the option."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}.*--port {port + 1}"):
            require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)


def test_a_host_of_no_machine_is_refused() -> None:
    """An address that is not of this machine cannot be listened on."""
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        require_free_port("192.0.2.1", 3000)
    with pytest.raises(ConfigurationError, match="not an address"):
        require_free_port("\x80W", 3000)


def test_the_address_to_open_is_one_a_browser_understands() -> None:
    """GatewayState everywhere is not an address; the loopback interface is."""
    everywhere = "0.0.0.0"  # noqa: S104 - only spoken of
    assert web_url(everywhere, 3000) == "http://127.0.0.1:3000"
    assert web_url("192.0.2.1", 80) == "http://192.0.2.1:80"


def test_probes_distinguish_an_answer_from_silence(tmp_path: Path) -> None:
    """Only a successful answer counts as ready."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/server_info" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert answers_http(f"{url}/server_info")
            assert not answers_http(f"{url}/elsewhere")
        finally:
            server.shutdown()
            thread.join()
    assert not answers_http(f"{url}/server_info")
    assert not answers_on_socket(tmp_path / "none.sock")


def test_the_banner_shows_where_everything_is(tmp_path: Path) -> None:
    """Address, data, a query that works, and what the demo shows."""
    deployment = demo_deployment(load_settings(data_dir=tmp_path), {})
    text = banner(deployment, "http://127.0.0.1:3000")
    assert "http://127.0.0.1:3000" in text
    assert "simulated" in text
    assert "messages --session-id demo-race-" in text
    assert f"INGEST_DATA_DIR={tmp_path / 'demo'} " in text
    real = banner(real_deployment(load_settings(data_dir=tmp_path), {}), "http://127.0.0.1:3000")
    assert "simulated" not in real
    assert str(tmp_path / "ingest.duckdb") in real
    postgres = real_deployment(
        load_settings(data_dir=tmp_path), {"INGEST_DATABASE_URL": "postgresql://u:p@h/d"}
    )
    assert "PostgreSQL" in banner(postgres, "x")
    assert "u:p" not in banner(postgres, "x")
