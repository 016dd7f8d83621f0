"""Wingman."""
