"""README.md as a registry of packages can show it: hatchling calls this while it builds.

A registry's page lies in no folder: a picture of ours is not found from there, and a link to a file leads nowhere. So
the pictures are left out of it, and a link becomes its words and the name of the file in the source archive.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"!\[[^\]]*\]\((?!https://)[^)]*\)\n\n?")
COMMENT = re.compile(r"<!--.*?-->\n\n?", re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\((?!https://)([^)]*)\)")
END = "\nThe files named in parentheses, and the pictures, are in the source archive (sdist).\n"


def registry_page(readme: str) -> str:
    """The text of README.md without pictures, comments and links into the repository."""
    return LINK.sub(r"\1 (`\2`)", COMMENT.sub("", PICTURE.sub("", readme))) + END


class RegistryPage(MetadataHookInterface):
    """Fills in the field `readme`, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": registry_page(readme)}
