"""Experiments: one TOML file each, with named analyses, turned into templates and counts."""
