"""Does every link of the built site lead somewhere? Links to other sites are left alone.

``python docs/check_links.py build/docs``
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note what a tag is called, and where it leads."""
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken_links(site):
    """Yield a line for each link within the site that leads nowhere."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.resolve().rglob("*.html"))
        if "_static" not in path.parts
    }
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            fragment = unquote(parts.fragment)
            if not target.exists():
                yield f"{path.relative_to(site.resolve())}: {link}: no such file"
            elif fragment and target in pages and fragment not in pages[target].ids:
                yield f"{path.relative_to(site.resolve())}: {link}: no such place"


if __name__ == "__main__":
    broken = list(broken_links(Path(sys.argv[1])))
    print(*broken, sep="\n")
    sys.exit(1 if broken else 0)
