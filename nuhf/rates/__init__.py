"""Flux moments, quadrature, and templates that morph exactly in every coupling."""
