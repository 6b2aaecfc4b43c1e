"""Charts of curves: drawn by Matplotlib, for files, notebooks and pages, in the colours of one theme.

Read chart.py first (curves, and what notebooks and files get of them), then axes.py, pictures.py (SVG as part of a
page), document.py (the frame of every page) and palette.py.
"""
