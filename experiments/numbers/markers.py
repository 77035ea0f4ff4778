"""Pages and the parts of them that a script writes: what stands between two markers.

A part begins with ``<!-- numbers: NAME -->`` and ends with ``<!-- end -->``. It is a table or a
paragraph on lines of its own, or some words within a line.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PART = re.compile(r"(<!-- numbers: ([a-z0-9-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def pages():
    """Return the paths of the README and of the pages in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fill(text, parts):
    """Write the parts of a page anew, each by the function, returning Markdown, of its name.

    The text is the same if nothing has changed; a ValueError says that a marker names no part, or
    lacks its end.
    """
    if text.count("<!-- numbers:") != len(PART.findall(text)):
        raise ValueError("a marker has no name of small letters, or no <!-- end --> of its own")

    def written(match):
        start, name, old, end = match.groups()
        if name not in parts:
            raise ValueError(f"no part is named {name!r}: choose among {', '.join(sorted(parts))}")
        new = parts[name]()
        return f"{start}\n\n{new}\n\n{end}" if "\n" in old else f"{start}{new}{end}"

    return PART.sub(written, text)


def outside(text):
    """Return the prose of a page: without its parts, code, links' targets and comments."""
    text = PART.sub("", text)
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
