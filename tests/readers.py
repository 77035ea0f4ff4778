"""What tests read results with: a page of HTML, a process without TensorFlow and Keras."""

import html.parser
import subprocess
import sys

_WITHOUT = "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'deel'])\n"


def load_without_tensorflow(path, code):
    """Load a detector from a file and run code on it; return what was printed."""
    load = "from ocsdf import OCSDF; detector = OCSDF.load(sys.argv[1])\n"
    command = [sys.executable, "-W", "ignore", "-c", _WITHOUT + load + code, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    return answer.stdout


class Page(html.parser.HTMLParser):
    """Collects what a page refers to, its ids and its unclosed tags."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.references, self.ids, self.tags, self.open, self.mismatched = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")
        ]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)
