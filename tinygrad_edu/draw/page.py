"""A picture as a web page of its own, without any other file."""

from __future__ import annotations

import html
import re

from tinygrad_edu.draw.dot import COLOURS
from tinygrad_edu.draw.text import cleaned

# The picture stays dark on white in dark mode: its colours are chosen for that.
STYLE = """
:root { color-scheme: light dark; }
body { font-family: Helvetica, Arial, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 80rem; }
figure { margin: 0; }
.picture { background: #fff; border-radius: 8px; overflow: auto; padding: .5rem; text-align: center; }
svg { height: auto; }
ul { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; list-style: none; padding: 0; font-size: .9rem; }
li span { display: inline-block; width: 1rem; height: 1rem; border-radius: 4px; margin-right: .4rem;
  vertical-align: -.15rem; border: 1px solid; }
"""


SIZE = re.compile(r'(<svg\b[^>]*?) width="([\d.]+pt)" height="[\d.]+pt"', re.DOTALL)


def fluid(svg: str) -> str:
    """The picture as wide as its frame at most: a fixed width in points is cut off where the frame is narrower.

    >>> fluid('<svg width="300pt" height="20pt" viewBox="0 0 300 20"/>')
    '<svg width="100%" style="max-width:300pt" viewBox="0 0 300 20"/>'
    """
    return SIZE.sub(r'\1 width="100%" style="max-width:\2"', svg, count=1)


def page(svg: str, title: str, summary: str) -> str:
    """The page around a picture.

    svg: as Graphviz writes it; title: heading of the page; summary: says in words what the picture shows.
    """
    heading, alternative = html.escape(cleaned(title, 120) or "Computation graph"), html.escape(summary)
    picture = svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{alternative}" ', 1)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{heading}</h1>
<figure>
<div class="picture">
{picture.strip()}
</div>
<figcaption>
<p>{alternative}</p>
<ul>{"".join(legend_entry(kind, *colours) for kind, colours in COLOURS.items())}</ul>
</figcaption>
</figure>
</body>
</html>
"""


def legend_entry(name: str, fill: str, border: str) -> str:
    """One colour of the picture and its meaning."""
    return f'<li><span style="background:{fill};border-color:{border}"></span>{name}</li>'
