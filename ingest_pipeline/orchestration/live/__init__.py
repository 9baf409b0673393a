"""Live sessions: the sensor, its tick and its runs."""
