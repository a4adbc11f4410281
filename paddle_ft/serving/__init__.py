"""The HTTP service: a finished run that answers requests of other programs.

`server` starts and stops it, `app` has its paths, and `worker` computes all answers in a thread of its own, in batches that
`batching` puts together. `connections` keeps slow or senseless clients away. `inputs` reads requests, and `writing` says what
/generate takes for the run's task. fastapi, uvicorn and prometheus_client are extras: `app`, `answers`, `connections` and
`metrics` import them, and `server` imports these when it starts.
"""
