"""Writes packages anew without the times of their files, so that the same program is the same package, and no new version.

Usage: reproducible.py ZIP...
"""

import sys
import zipfile

for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as package:
        program = package.read("bootstrap")
    entry = zipfile.ZipInfo("bootstrap")  # of 1980, where the times of zips begin
    entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", compresslevel=9) as package:
        package.writestr(entry, program)
