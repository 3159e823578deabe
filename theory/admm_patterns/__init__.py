"""Theorems of ADMM pattern pruning (arXiv 2407.08334): ADMM, IHT and SR-STE on sparse sets."""
