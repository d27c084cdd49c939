"""Writes the table of values into the chart's README, from values.yaml and the comments in it.

A comment that begins with `# -- ` documents the key below it, and goes on in the lines that begin with `# `. A key
with such a comment is one row, whatever its value; one without is a section, and all keys of it need a comment.

    readme.py charts/do-cluster-access
"""

import pathlib
import re
import sys

import yaml

BEGIN = "<!-- generated from values.yaml by `make generate`: change the comments there -->\n"
END = "<!-- end of what is generated -->\n"
KEY = re.compile(r"( *)([A-Za-z][A-Za-z0-9_]*):")


def comments(text):
    """The path of every key with a comment, and the comment."""
    documented, path, comment = {}, [], None
    for line in text.splitlines():
        content = line.strip()
        key = KEY.match(line)
        if content.startswith("# -- "):
            comment = [content.removeprefix("# -- ")]
        elif content.startswith("# ") and comment:
            comment.append(content.removeprefix("# "))
        elif key:
            # Two spaces a level, which yamllint sees to.
            path = path[: len(key[1]) // 2] + [key[2]]
            if comment:
                documented[".".join(path)] = " ".join(comment)
            comment = None
        elif not content:
            comment = None
    return documented


def rows(values, documented, prefix=""):
    """(path, default, comment) of every value, in the order of the file."""
    for name, value in values.items():
        path = prefix + name
        if path in documented:
            yield path, value, documented[path]
        elif isinstance(value, dict) and value:
            yield from rows(value, documented, f"{path}.")
        else:
            raise SystemExit(f"values.yaml: {path} has no comment that begins with `# -- `")


def default(value):
    """A default as somebody would write it on one line of YAML."""
    if isinstance(value, str):
        # Dumped within a list, a string gets the quotes that it needs and no end of document.
        written = yaml.safe_dump([value], default_flow_style=True, width=10_000).strip()[1:-1]
        return '""' if value == "" else written
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("\n...\n").strip()


def table(text):
    """The table of the values in the text of a values.yaml."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, value, comment in rows(yaml.safe_load(text), comments(text)):
        lines.append("| `{}` | `{}` | {} |".format(path, default(value), comment.replace("|", "\\|")))
    return "\n".join(lines) + "\n"


def main():
    chart = pathlib.Path(sys.argv[1])
    readme = chart / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{readme}: the two lines between which the table belongs are missing")
    readme.write_text(before + begin + "\n" + table((chart / "values.yaml").read_text()) + "\n" + end + after)


if __name__ == "__main__":
    main()
