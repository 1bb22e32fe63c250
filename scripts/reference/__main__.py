"""Writes the generated parts of every page again."""

from scripts.reference.pages import PAGES, written

for page in PAGES:
    page.write_text(written(page, page.read_text()))
