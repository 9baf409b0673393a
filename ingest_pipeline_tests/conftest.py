"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

# A slow moment of the machine is no failure of the property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
