"""Charts of curves: drawn by Matplotlib, for files, notebooks and pages, in the colours of one theme."""
