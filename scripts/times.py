"""Tells where the time of a test run went, as a table; written into a document too, where there is one.

Usage: times.py FILE [DOCUMENT]; FILE is what scripts/timed wrote.
"""

import os
import re
import sys
from pathlib import Path

START, END = "<!-- times: make test -->\n", "<!-- end: times -->"


def table(text):
    rows = [line.split("\t") for line in text.splitlines()]
    lines = ["| step | seconds | of all processors |", "|---|---:|---:|"]
    lines += [f"| {step} | {wall} | {cpu} |" for wall, cpu, step in rows]
    return "\n".join(lines) + "\n"


path = Path(sys.argv[1])
if not path.exists():
    sys.exit(f"error: there is no {path}: run `make test` first")
times = table(path.read_text(encoding="utf-8"))
if len(sys.argv) > 2:
    document = Path(sys.argv[2])
    text = f"{START}On a machine with {os.cpu_count()} processors:\n\n{times}{END}"
    written = re.sub(f"{re.escape(START)}.*?{END}", lambda _: text, document.read_text(encoding="utf-8"), flags=re.DOTALL)
    document.write_text(written, encoding="utf-8")
else:
    print(times, end="")
