"""Models of couplings of neutrinos, and the catalogue of their parameters."""
