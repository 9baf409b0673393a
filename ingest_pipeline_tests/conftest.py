"""What every test shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow moment of the machine is no failure of a property.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
