"""Pages and the parts of them that a script writes: what stands between two markers.

A part begins with ``<!-- numbers: NAME -->`` and ends with ``<!-- end -->``. It is a table or a
paragraph on lines of its own, or some words within a line.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README, PACKAGE_PAGE = ROOT / "README.md", ROOT / "docs" / "pypi.md"
PART = re.compile(r"(<!-- numbers: ([a-z0-9-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def pages():
    """Return the paths of the README and of the pages in docs/ that are written by hand."""
    written = (path for path in (ROOT / "docs").rglob("*.md") if path != PACKAGE_PAGE)
    return [README, *sorted(written)]


def package_page(readme):
    """Return the README as an index of packages shows it, where links to files lead nowhere.

    Links to files become the files' names, and their pictures are left out.
    """
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", "", readme, flags=re.MULTILINE)

    def named(match):
        words, path = match.groups()
        return f"`{path}`" if words == path else f"{words} (`{path}`)"

    link = r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)"
    text = re.sub(rf"\({link}\)", r"(\1, `\2`)", text)
    text = re.sub(link, named, text)
    text = re.sub(r"<!--.*?-->\n+", "", text, flags=re.DOTALL)
    title, rest = text.split("\n", 1)
    head = (
        "This is the README of the source distribution, which holds the files that it names;\n"
        '"this folder" is where that is unpacked.'
    )
    return f"<!-- Written from README.md by make numbers. -->\n\n{title}\n\n{head}\n{rest}"


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
