"""Write docs/results.md, or measure what it shows.

python -m docs.results                                        write the page from docs/results/entries
python -m docs.results list                                   the entries, and what each needs
python -m docs.results run --data FOLDER --set MINILM=DIR     run all entries that this machine can, then write the page
python -m docs.results run qqp_minilm --data FOLDER --set MINILM=DIR      only this one
python -m docs.results run bert_sst2                          a recipe as it stands (GPU; downloads model and data)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.results import render
from docs.results.entry import Entry, load_entries
from docs.results.run import missing, run


def describe(entry: Entry) -> str:
    """Return the line of an entry in the list."""
    needs = [*entry.files, *(f"--set {name}=PATH" for name in entry.models), *([entry.needs] if entry.needs else [])]
    state = f"measured {entry.measured.date}" if entry.measured else "not measured"
    return f"{entry.name:22} {state:20} needs {', '.join(needs) or '-'}"


def unknown(entries: list[Entry], names: list[str]) -> str:
    """Return the message about names that no entry has, or ""."""
    wrong = sorted(set(names) - {entry.name for entry in entries if entry.command})
    return f"{', '.join(wrong)}: no such entry; they are {', '.join(e.name for e in entries if e.command)}" if wrong else ""


def chosen(entries: list[Entry], names: list[str]) -> list[Entry]:
    """Return the entries with these names; without names, all that have a command and need nothing special."""
    if names:
        return [entry for entry in entries if entry.name in names]
    return [entry for entry in entries if entry.command and entry.kind != "text" and not entry.needs]


def refused(entries: list[Entry], named: list[str], names: dict[str, str]) -> str:
    """Return why nothing is run, or "": an entry that was named lacks something, or all of them do.

    Args:
        entries: the chosen entries.
        named: the names on the command line; []: none was named.
        names: what --data and --set give.
    """
    lacking = {entry.name: lacks for entry in entries if (lacks := missing(entry, names))}
    if not lacking or (not named and len(lacking) < len(entries)):
        return ""
    if len(lacking) == 1:
        [(name, lacks)] = lacking.items()
        return f"nothing was run: {name} needs {' and '.join(lacks)}"
    return "nothing was run, because something is missing:\n" + "\n".join(
        f"  {name} needs {' and '.join(lacks)}" for name, lacks in lacking.items()
    )


def main() -> int:
    """Run the command line. Return 0, 1 if a command has failed, or 130 after Ctrl-C; mistakes of the user exit with 2."""
    parser = argparse.ArgumentParser(prog="python -m docs.results", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("verb", nargs="?", choices=["write", "list", "run"], default="write", help="what to do (default: write)")
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help="run: only these")
    parser.add_argument("--data", metavar="FOLDER", help="run: the folder with sst2/, qqp/, imdb/, lcsts/ and books.jsonl")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=PATH", help="run: a name in the commands, such as MINILM=DIR"
    )
    options = parser.parse_args()
    if wrong := [text for text in options.set if not all(text.partition("=")[::2])]:
        parser.error(f"--set {wrong[0]}: NAME=PATH is needed")
    names = {name: str(Path(path).expanduser().absolute()) for name, _, path in (text.partition("=") for text in options.set)}
    if options.data:
        names["DATA"] = str(Path(options.data).expanduser().absolute())
    entries = load_entries()
    known = sorted({name for entry in entries for name in entry.models})
    if wrong := sorted(set(names) - {*known, "DATA"}):
        parser.error(f"--set {wrong[0]}: no entry has this name; they are {', '.join(known)}")
    if absent := [path for path in names.values() if not Path(path).exists()]:
        parser.error(f"{absent[0]}: there is no such file or folder")
    if options.verb == "list":
        print("\n".join(describe(entry) for entry in entries if entry.command))
        return 0
    if message := unknown(entries, options.entries):
        parser.error(message)
    to_run = chosen(entries, options.entries) if options.verb == "run" else []
    if message := refused(to_run, options.entries, names):
        parser.error(message)
    outcomes = {}
    is_interrupted = False
    try:
        for entry in to_run:
            outcomes[entry.name] = run(entry, names)
    except KeyboardInterrupt:
        is_interrupted = True
        print("interrupted; what was measured until now is stored", file=sys.stderr)
    render.PAGE.write_text(render.page(load_entries()), encoding="utf-8")
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")
    print(f"{render.PAGE} is written")
    if is_interrupted:
        return 130
    return 1 if any("failed" in outcome for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
