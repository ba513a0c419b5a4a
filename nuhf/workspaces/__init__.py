"""pyhf files: encodings, patch sets, combinations, checks, archives."""
