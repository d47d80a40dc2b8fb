"""Prints what the changelog says of a version: the section under its heading.

Usage: notes.py VERSION, such as 1.2.3 or v1.2.3.
"""

import re
import sys
from pathlib import Path

version = sys.argv[1].removeprefix("v")
if not re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", version):
    sys.exit(f'error: "{sys.argv[1]}" is not a version. Give one: make release-notes VERSION=1.2.3')
sections = re.split(r"^## ", Path("CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
for section in sections[1:]:
    heading, _, notes = section.partition("\n")
    if heading.split() and heading.split()[0].strip("[]") == version:
        if not notes.strip():
            sys.exit(f"error: CHANGELOG.md has nothing to say of {version}")
        print(notes.strip())
        sys.exit()
sys.exit(f'error: CHANGELOG.md has no heading "## {version}". Write it before the tag.')
