"""Train recipes and use finished runs from Python: in a notebook, a script or a program of your own.

Everything here does the same work as the command line, with the same settings and the same messages. The public names are those of
`paddle_ft` itself: paddle_ft.train, paddle_ft.load_run and what they return. docs/api.md shows how to use them.
"""
