"""The frame of every page that this library writes: one file of HTML that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re

SIZE = re.compile(r'(<svg\b[^>]*?) width="([\d.]+pt)" height="[\d.]+pt"', re.DOTALL)


def document(heading: str, style: str, body: str, script: str = "") -> str:
    """A whole page. heading, in the browser's title, and body are HTML; script: the only one that may run in it.

    >>> "<title>A page</title>" in document("A page", "", "")
    True
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>{style}</style>
</head>
<body>{body}</body>
</html>
"""


def policy(script: str) -> str:
    """A Content-Security-Policy that loads nothing and runs this one script, or none."""
    loads = "default-src 'none'; style-src 'unsafe-inline'"
    if not script:
        return loads
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{loads}; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def shrink_to_frame(svg: str, style: str = "") -> str:
    """The picture in its own width, or in that of the frame around it where that is narrower.

    The width stays an attribute, since JupyterLab shows an SVG by <img>: without one it fills the whole cell.
    style: further CSS of the picture, ending in "; ".

    >>> shrink_to_frame('<svg width="300pt" height="20pt" viewBox="0 0 300 20"/>')
    '<svg width="300pt" style="max-width: 100%; height: auto" viewBox="0 0 300 20"/>'
    """
    return SIZE.sub(rf'\1 width="\2" style="{style}max-width: 100%; height: auto"', svg, count=1)
