"""The demo page: finished runs in a browser, one form for each task.

`server` starts it, `app` lays it out with gradio, and `worker` computes the answers one after the other in a thread of its own.
What can be typed in for a task and what is shown is declared by its page (`pages/`), in terms of `fields` and `blocks` and without
gradio, which is an extra and is imported by `app` and `server` alone.
"""
