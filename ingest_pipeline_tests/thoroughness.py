"""How often what is tried with many examples is tried: enough for each change, or as for a release.

Every run draws other examples, so that those of many runs add up. With `HYPOTHESIS_PROFILE=thorough`
`./test.sh --all` tries ten times as many.
"""

from __future__ import annotations

import os

_TIMES = {"suite": 1, "thorough": 10}[os.environ.get("HYPOTHESIS_PROFILE", "suite")]


def examples(number: int) -> int:
    """Return how many of so many examples for each change are to be tried now."""
    return number * _TIMES
