"""The log of a run says what happened, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest_pipeline_tests.orchestration.deployments import Deployment, message, session


def test_a_live_run_does_not_complain_of_content_that_is_not_there(deployment: Deployment) -> None:
    """Kinds without a change are not reported while the window lasts."""
    start = datetime.now(UTC) - timedelta(minutes=2)
    deployment.add_sessions(session(start=start, minutes=60))
    deployment.post(message(start + timedelta(seconds=10)))
    result = deployment.run("monza|T+000m", tags={"ingest/trigger": "live"})
    assert result.success
    assert deployment.materialisations("team_radio").keys() == {"monza|T+000m"}
    assert deployment.materialisations("trade_setups") == {}
    lines = [entry.message for entry in deployment.instance.all_logs(result.run_id)]
    assert [line for line in lines if "did not yield" in line] == []
