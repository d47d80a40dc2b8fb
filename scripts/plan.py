"""Tells in Markdown what a plan of Terraform would do, and its digest.

Usage: terraform show -no-color PLAN | plan.py STAGE

The digest is of what is shown: of two plans with one digest, one does what the other said.
"""

import hashlib
import re
import sys

# A comment on GitHub takes 65,536 characters.
MOST = 60_000
CHANGES = re.compile(r"^(?:Plan: .*|No changes\..*|You can apply this plan to save these new output values.*)$", re.MULTILINE)


def fold(text):
    return text if len(text) <= MOST else f"{text[:MOST]}\n… {len(text) - MOST} characters more: they are in the job's log."


stage, plan = sys.argv[1], sys.stdin.read().strip()
if not plan:
    sys.exit(f"error: there is no plan of {stage}. Make one: make plan STAGE={stage}")
digest = hashlib.sha256(plan.encode()).hexdigest()
found = CHANGES.search(plan)
markdown = f"""### {stage}: {found[0] if found else "a plan"}

<details><summary>All of it</summary>

````text
{fold(plan)}
````

</details>

`{digest}`
"""
print(markdown, end="")
