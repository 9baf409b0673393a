"""Tests of userconfig."""
