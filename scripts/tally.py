"""Adds up what the test runners said at their ends, and prints the sum as the last line.

Usage: tally.py LOG..., each the output of `cargo test` or `terraform test`.
"""

import re
import sys

# cargo test:      test result: ok. 3 passed; 0 failed; 1 ignored; ...
# terraform test:  Success! 3 passed, 0 failed.   or   Failure! 2 passed, 1 failed, 1 skipped.
CLOSING = re.compile(r"^(?:test result: \w+\.|Success!|Failure!) (\d+) passed[;,] (\d+) failed(?:[;,] (\d+) (?:ignored|skipped))?")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

passed = failed = skipped = 0
for name in sys.argv[1:]:
    with open(name, encoding="utf-8", errors="replace") as log:
        for line in log:
            if found := CLOSING.match(COLOUR.sub("", line)):
                counts = [int(count or 0) for count in found.groups()]
                passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]

print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0 or passed == 0)
