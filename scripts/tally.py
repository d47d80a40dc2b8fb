"""Adds up what the test runners said at their ends, and prints the sum as the last line.

Usage: tally.py LOG..., each the output of `cargo test`, `terraform test` or `node --test`.
"""

import re
import sys

# cargo test:      test result: ok. 3 passed; 0 failed; 1 ignored; ...
# terraform test:  Success! 3 passed, 0 failed.   or   Failure! 2 passed, 1 failed, 1 skipped.
CLOSING = re.compile(r"^(?:test result: \w+\.|Success!|Failure!) (\d+) passed[;,] (\d+) failed(?:[;,] (\d+) (?:ignored|skipped))?")
# node --test, a line each:  ℹ pass 3
NODE = re.compile(r"^ℹ (pass|fail|cancelled|skipped) (\d+)$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

passed = failed = skipped = 0
for name in sys.argv[1:]:
    with open(name, encoding="utf-8", errors="replace") as log:
        for line in log:
            line = COLOUR.sub("", line)
            if found := CLOSING.match(line):
                counts = [int(count or 0) for count in found.groups()]
                passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
            elif found := NODE.match(line):
                kind, count = found[1], int(found[2])
                passed += count * (kind == "pass")
                failed += count * (kind in ("fail", "cancelled"))
                skipped += count * (kind == "skipped")

print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0 or passed == 0)
