"""The HTML templates, with automatic escaping."""

from __future__ import annotations

import json

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def load_template(name: str) -> Template:
    """Return the template of a file in this folder."""
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["from_json"] = json.loads
    return environment.get_template(name)
