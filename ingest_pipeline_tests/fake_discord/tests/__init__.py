"""Tests of the Discord on loopback."""
