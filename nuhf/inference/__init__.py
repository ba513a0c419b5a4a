"""Fits, profiles and intervals."""
