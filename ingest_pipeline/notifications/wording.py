"""Titles and texts of notifications, by templates of Jinja in its sandbox.

What people wrote in a channel rings nobody elsewhere: `@everyone` and mentions in values are broken by an
invisible character; a template's own words are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ingest_pipeline.domain.notification import Occasion, Rule
from ingest_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

LONGEST_TEXT = 1_900
"""Characters of a text; Discord takes 2,000
(https://docs.discord.com/developers/resources/webhook, "Execute Webhook")."""
LONGEST_TITLE = 200
_LISTED = 10
_LONGEST_LINE = 160
_RINGS = re.compile(r"@(?=everyone|here)|<(?=[@!#&])")

_TITLES = {
    Occasion.SESSION_STARTS: "{{ name }} begins",
    Occasion.SESSION_ENDS: "{{ name }} is over",
    Occasion.SESSION_SEALED: "{{ name }} is sealed",
    Occasion.FAILURE: "{{ title }}",
}
_TEXTS = {
    Occasion.SESSION_STARTS: "{{ session_id }}, {{ time(start) }} to {{ time(end) }}",
    Occasion.SESSION_ENDS: "{{ session_id }}, {{ time(start) }} to {{ time(end) }}",
    Occasion.SESSION_SEALED: "{{ session_id }}: {{ messages }} messages, version {{ version }}",
    Occasion.FAILURE: "{{ text }}",
}
_MESSAGE_TITLE = "{{ rule }}: {{ driver or author }}{% if channel %} in #{{ channel }}{% endif %}"
_MESSAGE_TEXT = "{{ text }}\n{{ link }}"


@dataclass(frozen=True, slots=True)
class Wording:
    """A notification in words.

    Attributes:
        title: Its title, one line.
        text: Its text.
        level: `info`, `success`, `warning` or `failure`, which some services show.
    """

    title: str
    text: str
    level: str = "info"


def word(rule: Rule, values: Mapping[str, Any], level: str = "info") -> Wording:
    """Return a notification in the words of its rule.

    A template that fails with these values is replaced by the usual one.

    Args:
        rule: The rule.
        values: What templates may name: texts, numbers, aware UTC times, and lists of them by name.
        level: See `Wording`.
    """
    from jinja2 import TemplateError

    quiet = _quiet(dict(values))
    title, text = _templates(rule)
    usual_title, usual_text = _usual(rule)
    rendered = []
    for template, usual in ((title, usual_title), (text, usual_text)):
        try:
            rendered.append(_compiled(template).render(quiet))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            rendered.append(_compiled(usual).render(quiet))
    return Wording(
        _cut(" ".join(rendered[0].split()), LONGEST_TITLE), _cut(rendered[1].strip(), LONGEST_TEXT), level
    )


def word_together(rule: Rule, wordings: Sequence[Wording]) -> Wording:
    """Return several notifications as one: those that waited for an hour or a quiet time to end."""
    if len(wordings) == 1:
        return wordings[0]
    lines = []
    for each in wordings[:_LISTED]:
        first = next(iter(each.text.splitlines()), "")
        lines.append(_cut(f"{each.title}: {first}" if first else each.title, _LONGEST_LINE))
    if len(wordings) > _LISTED:
        lines.append(f"and {len(wordings) - _LISTED} more")
    level = "failure" if any(each.level == "failure" for each in wordings) else wordings[0].level
    return Wording(f"{rule.name}: {len(wordings)} notifications", "\n".join(lines), level)


def check_templates(rule: Rule) -> None:
    """Read a rule's templates.

    Raises:
        ConfigurationError: One is no template; the message names rule, line and problem.
    """
    from jinja2 import TemplateSyntaxError

    for place, template in (("title", rule.title), ("text", rule.text)):
        if template is None:
            continue
        try:
            _compiled(template)
        except TemplateSyntaxError as error:
            raise ConfigurationError(
                f"notification {rule.name}: {place} is no template (line {error.lineno}: {error.message}): "
                "correct it in data/settings.yaml"
            ) from error


def _templates(rule: Rule) -> tuple[str, str]:
    title, text = _usual(rule)
    return rule.title or title, rule.text or text


def _usual(rule: Rule) -> tuple[str, str]:
    if rule.is_of_messages:
        return _MESSAGE_TITLE, _MESSAGE_TEXT
    return _TITLES[Occasion(rule.when)], _TEXTS[Occasion(rule.when)]


@lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Plain text, so nothing is escaped.
    environment = ImmutableSandboxedEnvironment(autoescape=False)
    environment.globals = {"time": lambda moment: f"{moment:%Y-%m-%d %H:%M} UTC"}
    return environment


def _quiet(value: Any) -> Any:
    if isinstance(value, str):
        return _RINGS.sub(lambda found: f"{found[0]}\u200b", value)
    if isinstance(value, Mapping):
        return {key: _quiet(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_quiet(each) for each in value]
    return value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
