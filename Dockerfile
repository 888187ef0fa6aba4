# The server without torch: a router folder at /data/router, its database beside it.
#
#   docker build -t moe .
#   docker run --rm -v "$PWD/runs:/data" moe keys add --router /data/router team-a
#   docker run -p 8080:8080 -v "$PWD/runs:/data" moe
#
# The folder mounted at /data must be writable by user 10001, or the database be elsewhere (--feedback postgresql://…).

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml requirements.txt README.md LICENSE MANIFEST.in ./
COPY dataset_build dataset_build
COPY mixture_training mixture_training
RUN python -m venv /opt/moe && /opt/moe/bin/pip install --no-cache-dir ".[serve,postgres]"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin moe
COPY --from=build /opt/moe /opt/moe
ENV PATH=/opt/moe/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1
USER 10001
WORKDIR /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["moe"]
CMD ["serve", "--router", "/data/router", "--host", "0.0.0.0"]
