"""The page is whole, safe and self-contained."""

import html.parser
import re

import pytest

from ocsdf.report import at_least, at_most, certified_percent, percent, render


@pytest.mark.parametrize(
    ("share", "near", "proved"),
    [(0.9996, "100.0", "99.9"), (1.0, "100.0", "100.0"), (0.29, "29.0", "29.0"), (0, "0.0", "0.0")],
)
def test_certified_shares_are_rounded_down(share, near, proved):
    assert percent(share) == f"{near}\N{NO-BREAK SPACE}%"
    assert certified_percent(share) == f"{proved}\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (0.12345678, "0.1234", "0.1235"),
        (0.5, "0.5", "0.5"),
        (4.00001e-11, "4.000e-11", "4.001e-11"),
        (98765.0, "9.876e+4", "9.877e+4"),
        (0.0, "0", "0"),
    ],
)
def test_bounds_are_rounded_to_the_safe_side(value, down, up):
    assert (at_least(value), at_most(value)) == (down, up)
    assert float(down) <= value <= float(up)


class _Page(html.parser.HTMLParser):
    """Collects what a page refers to, its headings and its unclosed tags."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.open, self.mismatched = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)


def test_page_is_self_contained_and_well_formed(judged):
    estimator, _, _, judgement, setting = judged
    text = render(judgement, estimator, setting)
    page = _Page(text)
    assert all(reference.startswith("#") for reference in page.references)
    assert not re.search(r"url\((?!#)|@import|<script|<link", text)
    assert page.mismatched == []
    assert page.open == []
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == 3
    assert '<html lang="en">' in text
    assert text.count('role="img" aria-label="') >= 3


def test_page_says_what_was_found(judged):
    estimator, _, y, judgement, setting = judged
    text = render(judgement, estimator, setting)
    assert f"{100 * judgement.ranking.certified_auroc[0]:.1f}\N{NO-BREAK SPACE}%" in text
    assert f"{judgement.certified_verdicts[0]} of {len(y)}" in text
    assert "Lipschitz bound L" in text
    assert "mean fractal dimension" in text
    assert "trained on the rows it is judged on" not in text.lower()
    assert (
        "trained on the rows it is judged on"
        in render(judgement, estimator, setting._replace(protocol="ad")).lower()
    )


def test_page_escapes_names_and_shows_warnings(judged):
    estimator, _, _, judgement, setting = judged
    names = ("<script>alert(1)</script>", *setting.feature_names[1:])
    text = render(
        judgement,
        estimator,
        setting._replace(name="a<b>&c", feature_names=names, warnings=("f <collapsed>",)),
    )
    assert "<script>" not in text
    assert "a&lt;b&gt;&amp;c" in text
    assert "f &lt;collapsed&gt;" in text
