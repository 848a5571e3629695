"""A person who is asked by a program to open an address and sign in there: fills in the forms of the pages and sends them, as a browser does.

usage: person.py ADDRESS NAME
Prints the text of the last page. Knows no page in particular: it follows whatever forms come.
"""

import http.cookiejar
import sys
import urllib.parse
import urllib.request
from html.parser import HTMLParser

MOST_PAGES = 10


class Page(HTMLParser):
    """The first form of a page, and the page's text."""

    def __init__(self, text):
        super().__init__()
        self.action, self.fields, self.words = None, {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = attrs.get("action")
        # No button is pressed: those that have names abort.
        if tag == "input" and self.action and attrs.get("name"):
            self.fields[attrs["name"]] = attrs.get("value") or ""

    def handle_data(self, data):
        self.words.extend(data.split())


address, name = sys.argv[1:]
browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
answer = browser.open(address, timeout=30)
for _ in range(MOST_PAGES):
    page = Page(answer.read(1_000_000).decode())
    if page.action is None:
        break
    for field, value in (("login", name), ("password", "any")):
        if field in page.fields:
            page.fields[field] = value
    answer = browser.open(urllib.parse.urljoin(answer.url, page.action), urllib.parse.urlencode(page.fields).encode(), timeout=30)
else:
    sys.exit("it never ends: " + " ".join(page.words))
print(" ".join(page.words))
