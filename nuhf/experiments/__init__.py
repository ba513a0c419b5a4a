"""Experiments: files that compose sources, targets, responses and data, and what is built."""
