"""Failures are reported by a rule: real runs, and a real server that takes what is posted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.errors import DatabaseUnavailable
from ingest_pipeline.notifications import delivery
from ingest_pipeline_tests.orchestration.deployments import (
    TOKEN,
    Deployment,
    deploy,
    instance_on_disk,
    session,
)
from ingest_pipeline_tests.webhook_receiver import Receiver, receiving

SECRET = "a-secret-word"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    """Dagster's memory, in memory, or on disk as `./start.sh` keeps it."""
    home = tmp_path / "home"
    home.mkdir()
    is_on_disk = getattr(request, "param", "") == "disk"
    made = instance_on_disk(home) if is_on_disk else dg.DagsterInstance.ephemeral(str(home))
    with made as instance:
        yield instance


@dataclass
class Alerts:
    """A deployment that sends alerts of its failures."""

    deployment: Deployment
    cursor: str | None = None
    reasons: list[str] = field(default_factory=list)

    def tick(self) -> str:
        """Evaluate the sensor once and return what it says."""
        sensor = self.deployment.definitions.resolve_sensor_def("alert_sensor")
        resources = {"tick_services": self.deployment.services}
        with dg.build_sensor_context(
            instance=self.deployment.instance, cursor=self.cursor, resources=resources
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert not result.run_requests
        assert isinstance(result.skip_reason, dg.SkipReason)
        self.cursor = result.cursor
        self.reasons.append(result.skip_reason.skip_message or "")
        return self.reasons[-1]

    def run(self, error: str | None = None, job: str = "ingest_job", **tags: str) -> str:
        """Run a job of some name that ends well or with an error, and return its id."""
        instance = self.deployment.instance

        @dg.op
        def work() -> None:
            if error:
                raise dg.Failure(error, allow_retries=False)

        @dg.job(name=job)
        def made() -> None:
            work()

        named = {key.replace("__", "/"): value for key, value in tags.items()}
        return made.execute_in_process(instance=instance, tags=named, raise_on_error=False).run_id

    def poll(self, session_id: str, error: str | None = None) -> str:
        """Run a poll of a live session."""
        return self.run(error, ingest__trigger="live", ingest__session=session_id)


@pytest.fixture
def alerts(
    tmp_path: Path, instance: dg.DagsterInstance, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Alerts:
    """A deployment whose sensor has looked once."""
    monkeypatch.setattr(delivery, "RETRIES", Backoff(0.0))
    alerts = Alerts(deploy(tmp_path, instance, alert_webhook_url=receiver.url))
    assert alerts.tick() == "alerts start now"
    return alerts


@pytest.mark.parametrize("instance", ["disk"], indirect=True)
def test_a_live_session_that_keeps_failing_is_reported_once_and_when_it_is_well(
    alerts: Alerts, receiver: Receiver
) -> None:
    """One failure is no news, the second in a row is, a third is not one, and the recovery is."""
    alerts.poll("monza", "channel 42: forbidden")
    assert alerts.tick() == "still failing: 1, 0 of them alerted"
    assert receiver.bodies == []
    last = alerts.poll("monza", "channel 42: forbidden")
    alerts.tick()
    [reported] = receiver.bodies
    assert reported["title"] == "\N{POLICE CARS REVOLVING LIGHT} session monza"
    assert reported["message"].startswith("ingest_job failed, 2 times in a row since")
    assert "channel 42: forbidden" in reported["message"]
    assert (reported["type"], last[:8] in reported["message"]) == ("failure", True)
    alerts.poll("monza", "channel 42: forbidden")
    alerts.tick()
    assert len(receiver.bodies) == 1
    alerts.poll("monza")
    assert alerts.tick().startswith("notifications sent: 1")
    recovery = receiver.bodies[1]
    assert (recovery["type"], "after 3 failures in a row" in recovery["message"]) == ("success", True)
    assert "works again" in recovery["message"]
    assert alerts.tick() == "nothing happened"


@pytest.mark.parametrize("instance", ["disk"], indirect=True)
def test_a_tick_that_fails_alerts_and_its_end_too(alerts: Alerts, receiver: Receiver) -> None:
    """A schedule at once, a sensor at its second failure in a row; a skipped tick is a success."""
    record_tick(alerts, "verify_messages_schedule", InstigatorType.SCHEDULE, "the database is busy")
    record_tick(alerts, "live_session_sensor", InstigatorType.SENSOR, "a bad line")
    alerts.tick()
    [sent] = receiver.bodies
    assert "a tick of verify_messages_schedule failed: the database is busy" in sent["message"]
    assert "live_session_sensor" not in sent["message"]
    record_tick(alerts, "live_session_sensor", InstigatorType.SENSOR, "a bad line")
    alerts.tick()
    assert "a tick of live_session_sensor failed, 2 times in a row" in receiver.bodies[1]["message"]
    record_tick(alerts, "live_session_sensor", InstigatorType.SENSOR, None)
    alerts.tick()
    assert receiver.bodies[2]["type"] == "success"
    assert "after 2 failures in a row" in receiver.bodies[2]["message"]
    alerts.tick()
    assert len(receiver.bodies) == 3


def record_tick(alerts: Alerts, name: str, kind: InstigatorType, error: str | None) -> None:
    """Record a tick as the daemon does: one that failed, or one that was skipped."""
    instance = alerts.deployment.instance
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name="ingest_pipeline.definitions"), "ingest_pipeline.definitions"
    )
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    status = InstigatorStatus.DECLARED_IN_CODE
    data = SensorInstigatorData() if kind is InstigatorType.SENSOR else ScheduleInstigatorData("15 5 * * *")
    state = InstigatorState(origin, kind, status, data)
    if instance.get_instigator_state(origin.get_id(), state.selector_id) is None:
        instance.add_instigator_state(state)
    now = datetime.now(UTC).timestamp()
    failure = SerializableErrorInfo("it failed", [], None, SerializableErrorInfo(f"{error}\n", [], None))
    tick = TickData(
        origin.get_id(),
        name,
        kind,
        TickStatus.FAILURE if error else TickStatus.SKIPPED,
        now,
        selector_id=state.selector_id,
        error=failure if error else None,
        skip_reason=None if error else "nothing to do",
        end_timestamp=now,
    )
    instance.create_tick(tick)


def test_an_alert_of_an_earlier_version_is_followed_by_its_recovery(
    alerts: Alerts, receiver: Receiver
) -> None:
    """The cursor of a version before is read: the failure is not alerted again, its end is."""
    streak = {
        "job": "ingest_job",
        "session_id": "monza",
        "failures": 2,
        "since": datetime.now(UTC).isoformat(),
        "last": datetime.now(UTC).isoformat(),
        "run_id": "0" * 36,
        "problem": "channel 42: forbidden",
        "is_told": True,
    }
    alerts.cursor = json.dumps({**json.loads(alerts.cursor or ""), "streaks": [streak]})
    alerts.poll("monza", "channel 42: forbidden")
    assert alerts.tick() == "still failing: 1, 1 of them alerted"
    alerts.poll("monza")
    alerts.tick()
    assert [(body["type"], "3 failures" in body["message"]) for body in receiver.bodies] == [
        ("success", True)
    ]


def test_sessions_do_not_count_for_each_other_and_each_has_one_message(
    alerts: Alerts, receiver: Receiver
) -> None:
    """Failures of one session are no row with another's; what fails of one session is one message."""
    alerts.poll("monza", "no")
    alerts.poll("spa", "no")
    alerts.poll("monza")
    alerts.poll("spa", "no")
    alerts.run("no page", "session_report_job", dagster__partition="spa")
    alerts.tick()
    [reported] = receiver.bodies
    assert reported["title"].endswith("session spa")
    assert [line.split()[0] for line in reported["message"].splitlines()] == [
        "ingest_job",
        "session_report_job",
    ]


def test_the_seal_of_a_session_ends_what_failed_to_read_it(alerts: Alerts, receiver: Receiver) -> None:
    """It has read all of the session, and no poll comes back to it; other sessions go on failing."""
    for session_id in ("monza", "spa"):
        alerts.poll(session_id, "no")
        alerts.poll(session_id, "no")
    alerts.tick()
    alerts.run(None, "session_seal_job", dagster__partition="monza")
    assert alerts.tick() == "notifications sent: 1; still failing: 1, 1 of them alerted"
    assert receiver.bodies[-1]["type"] == "success"
    assert receiver.bodies[-1]["title"].endswith("session monza")


def test_what_nobody_repeats_is_reported_at_once_but_not_what_dagster_tries_again(
    alerts: Alerts, receiver: Receiver
) -> None:
    """A nightly job does not wait for a second night; a run that is retried has not failed yet."""
    alerts.run("the disk is full", "prune_data", dagster__will_retry="true")
    alerts.tick()
    assert receiver.bodies == []
    alerts.run("the disk is full", "prune_data")
    alerts.tick()
    assert [body["title"].split()[-1] for body in receiver.bodies] == ["ingest_pipeline"]


def test_a_failed_check_of_a_run_that_succeeded_is_reported(alerts: Alerts, receiver: Receiver) -> None:
    """With the check's own words; one that only warns is not."""

    @dg.asset
    def table() -> None:
        """Be checked."""

    def checked(passed: bool, severity: dg.AssetCheckSeverity) -> None:
        @dg.asset_check(asset=table)
        def complete() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=passed, severity=severity, description="3 are missing")

        defs = dg.Definitions(assets=[table], asset_checks=[complete])
        job = defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=alerts.deployment.instance).success
        alerts.tick()

    checked(False, dg.AssetCheckSeverity.WARN)
    assert receiver.bodies == []
    checked(False, dg.AssetCheckSeverity.ERROR)
    assert "check complete of table failed: 3 are missing" in receiver.bodies[0]["message"]
    checked(True, dg.AssetCheckSeverity.ERROR)
    assert [body["type"] for body in receiver.bodies] == ["failure", "success"]


def test_an_alert_that_cannot_be_delivered_waits_and_is_delivered_later(
    alerts: Alerts, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once a tick, whatever the service answers; the address shows nowhere."""
    alerts.run("no", "prune_data")
    with caplog.at_level(logging.DEBUG):
        for tries, status in enumerate((503, 404, 302), start=1):
            receiver.status = status
            assert alerts.tick() == "still failing: 1, 1 of them alerted"
            assert receiver.requests == tries
    assert "did not arrive at alert_webhook (attempt 3 of 10)" in caplog.text
    assert SECRET not in caplog.text + "".join(alerts.reasons) + str(alerts.cursor)
    receiver.status = 200
    assert alerts.tick().startswith("notifications sent: 1")
    alerts.tick()
    assert (len(receiver.bodies), receiver.requests) == (1, 4)


def test_a_failure_is_reported_while_the_database_is_away(
    alerts: Alerts, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what failed; what did not arrive either is reported by the next tick."""

    def away(*_: object) -> None:
        raise DatabaseUnavailable("the server is down")

    monkeypatch.setattr(alerts.deployment.services.database, "run", away)
    alerts.run("the server is down", "prune_data")
    receiver.status = 503
    with pytest.raises(DatabaseUnavailable):
        alerts.tick()
    receiver.status = 200
    assert alerts.tick().startswith("the server is down; still failing: 1")
    alerts.tick()
    assert ["the server is down" in body["message"] for body in receiver.bodies] == [True]


def test_a_real_failure_names_what_to_do_and_no_secret(alerts: Alerts, receiver: Receiver) -> None:
    """The exporter is refused: the alert has the channel, and neither a token nor a mention that rings."""
    alerts.deployment.add_sessions(session())
    alerts.deployment.fault("forbidden-channel")
    assert not alerts.deployment.run("monza|T+000m").success
    alerts.run(f"<!channel> @everyone {TOKEN}", "prune_data")
    alerts.tick()
    invented, real = sorted(receiver.bodies, key=lambda body: str(body["title"]))
    assert real["title"].endswith("session monza")
    assert "channel" in real["message"]
    assert TOKEN not in str(receiver.bodies)
    assert "<\u200b!channel> @\u200beveryone" in invented["message"]


@pytest.mark.parametrize("cursor", ["nonsense", '{"streaks": [{"job": "x"}]}', "[]"])
def test_a_cursor_that_cannot_be_read_is_as_good_as_none(alerts: Alerts, cursor: str) -> None:
    """Old failures cause no alert then."""
    alerts.run("no", "prune_data")
    alerts.cursor = cursor
    assert alerts.tick() == "alerts start now"
    assert alerts.tick() == "nothing happened"


def test_without_a_rule_nothing_is_looked_at(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The tick says so, and where the sensor stood stays."""
    idle = Alerts(deploy(tmp_path, instance), cursor="as it was")
    assert (idle.tick(), idle.cursor) == ("no notification has a rule", "as it was")
