"""Couplings of neutrinos: one module per model, with its amplitude and its catalogue entries."""
