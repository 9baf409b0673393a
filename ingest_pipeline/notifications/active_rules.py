"""The rules in effect and their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.domain.notification import Occasion, Rule
from ingest_pipeline.notifications.wording import check_templates
from ingest_pipeline.settings import Settings
from ingest_pipeline.userconfig.notification_rules import load_notification_rules

ALERT_WEBHOOK = "alert_webhook"
"""The rule, and its address, that `INGEST_ALERT_WEBHOOK_URL` stands for."""


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """The rules in effect.

    Attributes:
        rules: By name, in the order of the file.
        addresses: Those that this process has, by name; what is to go to others is left to other processes.
        kinds: The kinds of content that rules are about, by name.
    """

    rules: Mapping[str, Rule]
    addresses: Mapping[str, SecretStr]
    kinds: Mapping[str, Kind]

    @property
    def targets(self) -> dict[str, Sequence[str]]:
        """The names of the addresses of each rule."""
        return {name: rule.to for name, rule in self.rules.items()}

    @property
    def of_failures(self) -> list[Rule]:
        """The rules about failures."""
        return [rule for rule in self.rules.values() if rule.when == Occasion.FAILURE]


def load_active_rules(settings: Settings) -> ActiveRules:
    """Return the rules in effect now: the file is read again when it has changed.

    Raises:
        ConfigurationError: The section of the settings file breaks a rule, or a template is wrong.
    """
    kinds = {kind.name: kind for kind in load_kinds(settings)}
    rules = {rule.name: rule for rule in load_notification_rules(settings.settings_file, tuple(kinds))}
    for rule in rules.values():
        check_templates(rule)
    addresses = dict(settings.notify_addresses)
    if settings.alert_webhook_url is not None:
        rules.setdefault(ALERT_WEBHOOK, Rule(ALERT_WEBHOOK, Occasion.FAILURE, (ALERT_WEBHOOK,)))
        addresses[ALERT_WEBHOOK] = settings.alert_webhook_url
    used = {rule.kind for rule in rules.values()}
    return ActiveRules(rules, addresses, {name: kind for name, kind in kinds.items() if name in used})
