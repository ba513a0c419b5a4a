"""Figures from arrays; nothing is computed here."""
