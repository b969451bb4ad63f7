# The image of a compiled pipeline's containers (docs/cluster.md) and of `farebox schedule --emit kubernetes`.
#   make image IMAGE=REGISTRY/farebox
# Lane B on Python 3.13, the newest that its lock allows; Debian 13, since its packages need glibc 2.39. For lane A:
#   ARGS="--build-arg BASE=python:3.10-slim-bookworm"
# To renew the digest: docker buildx imagetools inspect python:3.13-slim-trixie
ARG BASE=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${BASE} AS packages
# A compiler for pyfarmhash, which comes as source.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
COPY tools/env.sh tools/env.sh
# Compile bytecode now: the user below may not write it there.
RUN UV_COMPILE_BYTECODE=1 tools/env.sh packages /opt/farebox

FROM packages AS wheel
COPY . .
RUN /opt/farebox/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel .

FROM ${BASE}
# LightGBM needs OpenMP. Kubeflow's launcher writes copies of artifacts to /gcs, /s3 and /minio, as this user.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 farebox && useradd --uid 10001 --gid 10001 --create-home farebox \
    && install -d -o farebox -g farebox /gcs /s3 /minio /farebox
# Two layers: 3 GB of packages, which change with the lock, and Farebox's wheel, which changes with each commit.
COPY --from=packages /opt/farebox /opt/farebox
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    /opt/farebox/bin/python -m pip install --quiet --no-cache-dir --no-deps --no-index /wheel/*.whl
ENV PATH=/opt/farebox/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /farebox
CMD ["farebox", "--help"]
# The labels come last, since COMMIT changes with each commit.
ARG BASE
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="farebox" \
      org.opencontainers.image.description="Raw taxi trips to a small, gated on-device fare model" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="${BASE}"
