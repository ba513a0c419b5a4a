"""Statistical models: templates to pyhf workspaces and back.

``native`` adds the modifier ``powerfactor`` (theta to an integer power) to pyhf, so that a
rate which is a polynomial in its couplings is one workspace, exact for any number of couplings.
"""
