"""Group-sparse optimisation in which every claimed theorem is executable."""

