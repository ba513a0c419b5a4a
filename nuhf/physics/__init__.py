"""Neutrinos, nuclei and how they scatter: pure functions of arrays."""
