"""Theorems of SequentialAttention++ (arXiv 2402.17902): block pruning as nonconvex regularisation."""
