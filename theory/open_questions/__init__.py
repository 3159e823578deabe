"""Questions that the papers leave open, answered by exact instances and paired experiments."""
