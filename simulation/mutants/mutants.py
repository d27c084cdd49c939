#!/usr/bin/env python3
"""Tests of the tests: every seeded bug of bugs.toml must be noticed by what it says notices it.

All bugs are built at once, into a copy of the tree: each edit becomes `if <this bug> { new } else { old }`, and a
variable of the environment says which bug there is, if any. So there are two builds at the most, and without a bug
the same programs must find nothing.
"""

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUGS = HERE / "bugs.toml"
SEEDS = HERE / "seeds.json"
VARIABLE = "SEEDED_BUG"
# In the program: whether it is to have this bug.
SWITCH = f"""
/// Whether this process is to have the seeded bug with this id.
#[doc(hidden)]
#[must_use]
#[allow(missing_docs, unreachable_pub)]
pub fn has_bug(id: &str) -> bool {{
    static BUG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BUG.get_or_init(|| std::env::var("{VARIABLE}").unwrap_or_default()) == id
}}
"""
# What `make test` runs: the seeds that notice a bug must be among these.
SEEDS_OF_TEST, WEEKS_OF_TEST = 10_000, 300
LONGEST_SECONDS = 600


def fail(sentence):
    sys.exit(f"mutants: {sentence}")


def read_bugs(file=BUGS):
    bugs = tomllib.loads(file.read_text())["bug"]
    ids = [bug["id"] for bug in bugs]
    if len(set(ids)) < len(ids):
        fail("two bugs have the same id")
    for bug in bugs:
        bug.setdefault("invariants", [])
        bug.setdefault("tests", [])
    return bugs


def region(bug, edit, text):
    """Where in `text` the edit applies: exactly one place, or the entry is stale."""
    old = edit["old"].strip("\n")
    plain = old.replace("⟦", "").replace("⟧", "")
    found = text.count(plain)
    if found != 1:
        fail(f"{bug['id']}: its old text occurs {found} times in {edit['file']}, not once: the entry is stale")
    start = text.index(plain)
    if "⟦" not in old:
        return start, start + len(plain)
    return start + old.index("⟦"), start + old.index("⟧") - 1


def with_bugs(text, edits):
    """The text with all edits, each behind its switch."""
    places = {}
    for bug, edit in edits:
        places.setdefault(region(bug, edit, text), []).append((bug["id"], edit["new"].strip("\n")))
    spans = sorted(places)
    for (_, end), (start, _) in zip(spans, spans[1:]):
        if start < end:
            fail(f"two edits overlap without being of the same text: {places}")
    for start, end in reversed(spans):
        old = text[start:end]
        is_statement = old.rstrip().endswith((";", "}"))
        branches = "".join(
            f'if crate::has_bug("{id}") {{ {new} }} else ' for id, new in places[(start, end)]
        )
        switched = f"{branches}{{ {old} }}"
        text = text[:start] + (switched if is_statement else f"({switched})") + text[end:]
    return text


def mutated_files(bugs):
    edits = {}
    for bug in bugs:
        for edit in bug["edit"]:
            edits.setdefault(edit["file"], []).append((bug, edit))
    files = {file: with_bugs((ROOT / file).read_text(), edits[file]) for file in edits}
    library = "src/lib.rs"
    text = files.get(library, (ROOT / library).read_text())
    files[library] = f"#![allow(warnings)]\n{text}{SWITCH}"
    return files


def copy_tree(tree, mutated):
    """Copies what differs, so that what has not changed is not built again."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    names = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
    for name in names:
        content = mutated[name].encode() if name in mutated else (ROOT / name).read_bytes()
        place = tree / name
        if not place.is_file() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for place in [path for path in tree.rglob("*") if path.is_file()]:
        if str(place.relative_to(tree)) not in names:
            place.unlink()


class Programs:
    """The two programs with all bugs in them."""

    def __init__(self, tree, target, profile):
        self.tree = tree
        self.environment = {
            **os.environ,
            "CARGO_TARGET_DIR": str(target),
            "PROPTEST_MAX_SHRINK_ITERS": "0",
            "RUST_BACKTRACE": "0",
        }
        self.environment.pop(VARIABLE, None)
        self.profile = profile

    @functools.cached_property
    def simulate(self):
        print("building the simulation with all bugs in it", flush=True)
        build = ["build", "--package", "do-cluster-access-simulation", "--profile", self.profile]
        return self.build(build, "simulate")

    @functools.cached_property
    def tests(self):
        print("building the library's tests with all bugs in them", flush=True)
        return self.build(["test", "--lib", "--no-run"], "do_cluster_access")

    def build(self, arguments, name):
        command = ["cargo", *arguments, "--locked", "--quiet", "--message-format", "json-render-diagnostics"]
        built = subprocess.run(command, cwd=self.tree, env=self.environment, stdout=subprocess.PIPE, text=True)
        if built.returncode != 0:
            fail(f"cargo {' '.join(arguments)} failed")
        messages = map(json.loads, built.stdout.splitlines())
        programs = [
            message["executable"]
            for message in messages
            if message.get("executable") and message["target"]["name"] == name
        ]
        if not programs:
            fail(f"cargo {' '.join(arguments)} built no {name}")
        return programs[-1]

    def run(self, bug, command):
        environment = self.environment | ({VARIABLE: bug["id"]} if bug else {})
        try:
            ended = subprocess.run(
                command,
                cwd=self.tree,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            fail(f"{bug['id'] if bug else 'without a bug'}: no end after {LONGEST_SECONDS} s: {command}")
        return ended.stdout + ended.stderr

    def violated(self, bug, seed, week=False, listen=False, count=1):
        """Which invariants the simulation reports a violation of, each with the first seed that does."""
        counts = ["--seeds", "0", "--weeks", str(count)] if week else ["--seeds", str(count), "--weeks", "0"]
        listen = ["--listen-every", "1" if listen else str(10**9)]
        output = self.run(bug, [self.simulate, "run", "--from", str(seed), *counts, *listen])
        first, at = {}, None
        for line in output.splitlines():
            if begin := re.match(r"seed (\d+)", line):
                at = int(begin[1])
            elif violation := re.match(r"  (I\d+ [a-z -]+|no panic) at ", line):
                first[violation[1]] = min(at, first.get(violation[1], at))
        # The report of a seed shows some of its violations; the last lines count them all.
        if count == 1 and (counted := re.search(r"\d+ violations: \{(.*)\}", output)):
            for name in re.findall(r'"([^"]+)": \d+', counted[1]):
                first.setdefault(name, seed)
        if " runs, " not in output:
            fail(f"the simulation did not end as it should:\n{output[-2000:]}")
        return first

    def failed(self, bug, tests):
        """Which tests fail."""
        output = self.run(bug, [self.tests, *tests])
        if not re.search(r"^running [1-9]", output, re.MULTILINE):
            fail(f"there are no tests {tests}")
        return re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED", output, re.MULTILINE)


def judge(programs, bug, seeds):
    """What was to notice the bug, and did not; and a table's cell that says what did."""
    missed, noticed = [], []
    if bug["tests"]:
        failed = programs.failed(bug, bug["tests"])
        for test in bug["tests"]:
            hits = [name for name in failed if name.startswith(test)]
            if not hits:
                missed.append(f"the test {test} passes")
            noticed += hits[:1]
    if bug["invariants"]:
        known = seeds.get(bug["id"], {})
        runs = {known[name] for name in bug["invariants"] if name in known}
        seen = set()
        for run in sorted(runs):
            week = run.endswith("w")
            seen |= set(programs.violated(bug, run.rstrip("w"), week, bug.get("listen", False)))
        for name in bug["invariants"]:
            if name in seen:
                noticed.append(f"{name} (seed {known[name].replace('w', ', a week')})" if name in known else name)
            else:
                missed.append(f"no violation of {name}" + ("" if name in known else ", and no seed is known: --find"))
    return missed, noticed


def find(programs, bugs, seeds, most):
    """Looks for the first seed that shows each violation, and notes it."""
    for bug in bugs:
        began = time.monotonic()
        found = {}
        start, count = 1, 10
        while start <= most and not set(bug["invariants"]) <= set(found):
            count = min(count, most - start + 1)
            several = programs.violated(bug, start, listen=bug.get("listen", False), count=count)
            for name, seed in several.items():
                found.setdefault(name, str(seed))
            start, count = start + count, count * 2
        if not set(bug["invariants"]) <= set(found):
            for name, seed in programs.violated(bug, 1, True, bug.get("listen", False), 8).items():
                found.setdefault(name, f"{seed}w")
        missing = [name for name in bug["invariants"] if name not in found]
        print(f"{bug['id']:<22} {time.monotonic() - began:5.0f} s  {found}  MISSING {missing}" if missing
              else f"{bug['id']:<22} {time.monotonic() - began:5.0f} s  {found}", flush=True)
        seeds[bug["id"]] = {name: found[name] for name in bug["invariants"] if name in found}
        if not seeds[bug["id"]]:
            del seeds[bug["id"]]
        SEEDS.write_text(json.dumps(seeds, indent=1, sort_keys=True) + "\n")


def table(bugs, seeds):
    lines = ["| Bug | Noticed by |", "|---|---|"]
    for bug in bugs:
        known = seeds.get(bug["id"], {})
        by = [
            f"{name} (seed {known[name].replace('w', ', a week')})" if name in known else name
            for name in bug["invariants"]
        ]
        proves = f"{bug['proves']}: " if "proves" in bug else ""
        by += [f"{proves}`{test.rstrip(':').split('::')[-1]}`" for test in bug["tests"]]
        lines.append(f"| {bug['name']} | {'; '.join(by)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", help="bugs by id; all unless given")
    parser.add_argument("--share", metavar="I/N", help="the Ith of N equal shares of the list")
    parser.add_argument("--table", action="store_true", help="print the list as a Markdown table, and run nothing")
    parser.add_argument("--find", metavar="N", type=int, help="look for the seeds among the first N, and write seeds.json")
    parser.add_argument("--profile", default="dev", help="profile in which the simulation is built (dev)")
    parser.add_argument("--target", type=Path, default=ROOT / "target/mutants/target", help="cargo's target directory")
    parser.add_argument("--tree", type=Path, default=ROOT / "target/mutants/tree", help="where the tree is copied to")
    parser.add_argument("--bugs", type=Path, default=BUGS, help="the list (bugs.toml)")
    options = parser.parse_args()
    bugs = read_bugs(options.bugs)
    seeds = json.loads(SEEDS.read_text()) if SEEDS.exists() else {}
    if options.table:
        print(table(bugs, seeds))
        return
    chosen = bugs
    if options.ids:
        chosen = [bug for bug in bugs if bug["id"] in options.ids]
        if unknown := set(options.ids) - {bug["id"] for bug in bugs}:
            fail(f"there is no bug {', '.join(sorted(unknown))}")
    if options.share:
        share, shares = map(int, options.share.split("/"))
        chosen = chosen[share - 1 :: shares]

    began = time.monotonic()
    options.tree.mkdir(parents=True, exist_ok=True)
    copy_tree(options.tree.resolve(), mutated_files(bugs))
    programs = Programs(options.tree.resolve(), options.target.resolve(), options.profile)
    if options.find:
        return find(programs, chosen, seeds, options.find)

    for bug in chosen:
        for seed in seeds.get(bug["id"], {}).values():
            most = WEEKS_OF_TEST if seed.endswith("w") else SEEDS_OF_TEST
            if not 1 <= int(seed.rstrip("w")) <= most:
                fail(f"{bug['id']}: the seed {seed} is not among those that make test runs")
    wrong = []
    tests = sorted({test for bug in chosen for test in bug["tests"]})
    if tests and (failed := programs.failed(None, tests)):
        wrong.append(f"without a bug these tests fail: {failed}")
    for run in sorted({run for bug in chosen for run in seeds.get(bug["id"], {}).values()}):
        if violated := programs.violated(None, run.rstrip("w"), run.endswith("w")):
            wrong.append(f"without a bug seed {run} violates {sorted(violated)}")
    print(f"without a bug: {'; '.join(wrong) or 'nothing is noticed'}", flush=True)

    survived = []
    for number, bug in enumerate(chosen, 1):
        since = time.monotonic()
        missed, noticed = judge(programs, bug, seeds)
        if not bug["tests"] and not bug["invariants"]:
            missed = ["nothing is to notice it"]
        if missed:
            survived.append((bug, missed))
        verdict = f"SURVIVED: {'; '.join(missed)}" if missed else f"noticed by {', '.join(noticed)}"
        print(f"{number:>3}/{len(chosen)} {time.monotonic() - since:5.1f} s  {bug['id']:<22} {verdict}", flush=True)
    seconds = time.monotonic() - began
    print(f"{len(chosen) - len(survived)} of {len(chosen)} bugs noticed, {seconds:.0f} s")
    for bug, missed in survived:
        print(f"  survived: {bug['name']} ({bug['id']}): {'; '.join(missed)}")
    if survived or wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
