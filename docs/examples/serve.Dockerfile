# A run as a service, on a CPU. docs/serve.md says how to build and start it, and what of it was tried.
FROM python:3.11-slim

# Paddle needs OpenMP's library.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

# A mirror of Python packages: docker build --build-arg PIP_INDEX_URL=YOUR_MIRROR
ARG PIP_INDEX_URL

WORKDIR /app
COPY pyproject.toml MANIFEST.in README.md LICENSE NOTICE requirements-base.txt requirements-build.txt ./
COPY setup ./setup
COPY configs ./configs
COPY convert ./convert
COPY paddle_ft ./paddle_ft
RUN pip install --no-cache-dir -r requirements-build.txt
# The locked versions, without their hashes, which pip cannot check for this folder itself.
RUN sed -n 's/ \\$//; /^[a-z0-9]/p' setup/base.lock > locked.txt
RUN pip install --no-cache-dir --no-build-isolation --constraint locked.txt ".[cpu,serve]"

# Everybody may write into the home folder, as PaddleNLP does, so that --user of docker run can name the owner of the run.
RUN useradd --create-home --uid 10001 serve && chmod 1777 /home/serve
ENV HOME=/home/serve
# A number, with which Kubernetes sees that this is not root.
USER 10001
WORKDIR /home/serve
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["paddle-ft", "serve"]
CMD ["/model", "--host", "0.0.0.0"]
