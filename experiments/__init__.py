"""Studies on data: one file each, run and recorded by `runner`."""
