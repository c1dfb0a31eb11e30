#!/usr/bin/env python3
"""Copies the WIT that a page for WASI 0.3 in Python is built against: sdk/wit-async/copy.py FOLDER

componentize-py imports every function of an interface that a world mentions. The asynchronous interfaces take records of their
synchronous twins, so the copy has these without their functions: a page that imported them would need both session components,
and one call of them would stop the whole instance.
"""

import re
import shutil
import sys
from pathlib import Path

TWINS = ['sessions.wit', 'manager.wit']


def types_alone(wit):
    """An interface without its functions and resources, and what is written above these."""
    kept, above, inside = [], [], False
    for line in wit.splitlines(keepends=True):
        if inside:
            inside = line != '    }\n'
        elif re.match(r'    (///|@)', line):
            above.append(line)
        elif re.match(r'    resource .*{$', line):
            above, inside = [], True
        elif re.match(r'    %?[a-z-]+: func\(.*;$', line):
            above = []
        else:
            kept += [*above, line]
            above = []
    return ''.join(kept)


def main():
    here, folder = Path(__file__).parent, Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(here, folder, ignore=shutil.ignore_patterns('*.py'))
    package = folder / 'deps' / 'lemon-session'
    shutil.rmtree(package / 'deps')
    for name in TWINS:
        twin = package / name
        twin.write_text(types_alone(twin.read_text()))


if __name__ == '__main__':
    main()
