"""The bulk section: file to merged table, cold, repeated, and with 2 % changed, for every contender."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.contenders import CONTENDERS, MERGERS, READERS, Contender
from benchmarks.fingerprint import Fingerprint, fingerprint
from benchmarks.inputs import Inputs, inputs, size_name
from benchmarks.jobs import ContenderFailed, Job, Measured, run
from benchmarks.targets import Target, Targets

SCENARIOS = ("cold", "same", "changed")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured.

    Attributes:
        sizes: Messages in the file, and how many rounds of it.
        only: Names of contenders, or none for all.
        folder: For inputs and targets.
    """

    sizes: Sequence[tuple[int, int]]
    only: Sequence[str]
    folder: Path

    def takes(self, contender: Contender) -> bool:
        """Whether a contender is wanted."""
        return not self.only or any(name in contender.name for name in self.only)


class Different(RuntimeError):
    """A contender's table does not hold what the file holds."""


def measure(plan: Plan, say: Callable[[str], None]) -> Iterator[dict[str, object]]:
    """Yield one record for each job: size, round, contender, scenario and what it took.

    Raises:
        Different: A contender did less than the others.
    """
    with Targets(plan.folder / "targets") as targets:
        for count, rounds in plan.sizes:
            made = inputs(plan.folder / "inputs", count)
            for number in range(rounds):
                say(f"{size_name(count)} messages, round {number + 1} of {rounds}")
                yield from _readers(plan, made, number, say)
                yield from _round(plan, targets, made, number, say)


def _readers(
    plan: Plan, made: Inputs, number: int, say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    for contender in _rotated([each for each in READERS if plan.takes(each)], number):
        job = Job(contender.name, str(made.first.absolute()), "", "", str(plan.folder))
        yield _record(contender, made.count, made, number, "read", measured=run(job), say=say)


def _round(
    plan: Plan, targets: Targets, made: Inputs, number: int, say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    for contender in _rotated([each for each in (*CONTENDERS, *MERGERS) if plan.takes(each)], number):
        given = made
        if contender.most is not None and made.count > contender.most:
            given = inputs(plan.folder / "inputs", contender.most)
        with targets.fresh(contender) as target:
            try:
                for scenario in SCENARIOS:
                    before = targets.server_cpu()
                    measured = run(_job(contender, given, target, scenario))
                    record = _record(
                        contender, made.count, given, number, scenario, measured=measured, say=say
                    )
                    is_served = contender.engine == "postgres"
                    yield record | {"server_cpu_seconds": targets.server_cpu() - before if is_served else 0.0}
                if number == 0:
                    _compare(contender, given, target)
            except ContenderFailed as error:
                say(f"  {error}")
                yield {"contender": contender.name, "size": made.count, "round": number, "error": str(error)}


def _job(contender: Contender, given: Inputs, target: Target, scenario: str) -> Job:
    is_changed = scenario == "changed"
    return Job(
        contender=contender.name,
        source=str((given.changed if is_changed else given.first).absolute()),
        rows=str((given.changed_rows if is_changed else given.first_rows).absolute()),
        target=target.url,
        folder=str(target.folder),
    )


def _record(
    contender: Contender,
    size: int,
    given: Inputs,
    number: int,
    scenario: str,
    *,
    measured: Measured,
    say: Callable[[str], None],
) -> dict[str, object]:
    say(
        f"  {contender.name:20} {scenario:8} {measured.seconds:8.2f} s  "
        f"{given.count / measured.seconds:10,.0f} messages/s  {measured.peak_mb:6.0f} MB"
    )
    return {
        "contender": contender.name,
        "size": size,
        "given": given.count,
        "round": number,
        "scenario": scenario,
        **asdict(measured),
    }


def _compare(contender: Contender, given: Inputs, target: Target) -> None:
    """Hold a contender's table, after all scenarios, against the rows it was to hold."""
    found = fingerprint(contender.engine or "", target.url, target.table)
    wanted = _wanted(given)
    if found != wanted:
        raise Different(
            f"{contender.name} holds {found.rows} rows ({found.digest}), not {wanted.rows} ({wanted.digest})"
        )


def _wanted(given: Inputs) -> Fingerprint:
    return fingerprint("parquet", "", f"read_parquet('{given.changed_rows.absolute()}')")


def _rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Let another contender begin each round, so that none is always measured in the same company."""
    start = number % len(contenders) if contenders else 0
    return [*contenders[start:], *contenders[:start]]
