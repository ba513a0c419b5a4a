"""Toy data sets: Feldman-Cousins, CLs, coverage, and who runs them."""
