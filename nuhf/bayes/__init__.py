"""Posterior, log density and simulated data sets, for Bayesian and simulation-based users."""
