"""Tests, named as behaviours."""
