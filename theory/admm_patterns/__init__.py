"""Theorems of pattern pruning by ADMM and SR-STE (arXiv 2407.08334): identities, descent, rates, fixed points."""
