"""Tests of domain / extract."""
