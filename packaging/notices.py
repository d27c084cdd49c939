#!/usr/bin/env python3
"""Prints what the licences of all that is linked into the program ask to be kept, each text once.

Usage: notices.py, in a checkout whose dependencies were fetched.
"""

import json
import platform
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

PROGRAM = "do-cluster-access"
IS_NOTICE = re.compile(r"^notice", re.IGNORECASE)
IS_LICENCE = re.compile(r"^(licen[cs]e|copying|copyright|notice)", re.IGNORECASE)
RULE = "-" * 78


def metadata():
    command = ["cargo", "metadata", "--format-version=1", "--locked"]
    command.append(f"--filter-platform={platform.machine()}-unknown-linux-gnu")
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked(graph):
    """The packages that the program is made of, itself not among them: no build scripts' dependencies and no tests'."""
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    (program,) = (key for key, package in packages.items() if package["name"] == PROGRAM)
    found, open_ = {program}, [program]
    while open_:
        for dependency in nodes[open_.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                open_.append(dependency["pkg"])
    found.remove(program)
    return sorted((packages[key] for key in found), key=lambda package: (package["name"], package["version"]))


def is_as_ours(package):
    """Whether it can be had under the Apache License 2.0, whose text is that of our own licence."""
    choices = re.split(r" OR |/", package["license"])
    return "Apache-2.0" in choices


def texts_to_keep(package):
    """The texts that go with it: with the Apache License, a notice where there is one; otherwise the licence, too."""
    directory = Path(package["manifest_path"]).parent
    wanted = IS_NOTICE if is_as_ours(package) else IS_LICENCE
    for path in sorted(directory.iterdir()):
        if path.is_file() and wanted.match(path.name):
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def main():
    packages = linked(metadata())
    texts = defaultdict(list)
    write = sys.stdout.write
    write(
        f"{PROGRAM} is licensed under the Apache License 2.0 (LICENSE, beside this file). Linked into it is what\n"
        "follows. What can be had under that licence, too, is used under it; the licences of the rest are below.\n\n"
    )
    for package in packages:
        name = f"{package['name']} {package['version']}"
        source = package["repository"] or f"https://crates.io/crates/{package['name']}"
        write(f"{name}: {package['license']}, {source}\n")
        for text in texts_to_keep(package):
            # The same text in another width is the same text.
            texts[" ".join(text.split())].append((name, text))
    write(
        "GNU C Library: LGPL-2.1-or-later, https://www.gnu.org/software/libc/. It is linked statically; the program can be\n"
        "linked to another version of it with the sources and the Dockerfile of this project.\n"
        "The Rust standard library: MIT OR Apache-2.0, https://www.rust-lang.org\n"
    )
    for same in texts.values():
        write(f"\n{RULE}\n{', '.join(name for name, _ in same)}\n{RULE}\n\n{same[0][1]}\n")


main()
