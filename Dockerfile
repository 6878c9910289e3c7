# One image for the web server, the worker and the predictor. docker-compose.yml runs it.
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The data folder is a volume that all services share, so its owner has to exist in the image.
RUN useradd --create-home --uid 1000 headstart && install -d -o headstart -m 0700 /data && install -d /models

WORKDIR /srv/headstart
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY worker worker
COPY templates templates
COPY static static
RUN pip install -c constraints.txt -e .

USER headstart
ENV HEADSTART_HOME=/data HEADSTART_MODELS=/models HF_HOME=/data/cache/hub
VOLUME ["/data", "/models"]
EXPOSE 8000
CMD ["headstart", "serve"]
