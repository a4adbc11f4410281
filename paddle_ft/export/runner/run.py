"""Print the predictions for some texts: python EXPORT/run.py "a text" ... (--help lists the flags)."""

from runner.command import main  # beside this file in the export

if __name__ == "__main__":
    raise SystemExit(main())
