"""Writes the generated parts of every page again; ``--check`` only says which are out of date."""

import sys

from scripts.reference.pages import PAGES, written

old = {page: page.read_text("utf-8") for page in PAGES}
stale = {page: new for page, text in old.items() if (new := written(page, text)) != text}
if "--check" in sys.argv[1:] and stale:
    names = ", ".join(page.name for page in stale)
    sys.exit(f"docs/reference/ is out of date ({names}): run make reference")
for page, text in stale.items():
    page.write_text(text, "utf-8")
