"""Theorems of SMART (arXiv 2403.19969): pruning with a soft top-k mask, its temperature, and weight decay."""
