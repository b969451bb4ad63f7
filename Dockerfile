# The image of a compiled pipeline's containers (docs/cluster.md) and of `farebox schedule --emit kubernetes`.
# tools/env.sh installs the lane's lock and Farebox's wheel; `farebox rehearse` does the same without Docker. Lane A:
#   make image IMAGE=REGISTRY/farebox
# Lane B: ARGS="--build-arg PYTHON=3.12 --build-arg DEBIAN=trixie"
ARG PYTHON=3.10
ARG DEBIAN=bookworm

FROM python:${PYTHON}-slim-${DEBIAN} AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Compile bytecode now: the user below may not write it there.
RUN UV_COMPILE_BYTECODE=1 tools/env.sh image /opt/farebox

FROM python:${PYTHON}-slim-${DEBIAN}
# LightGBM needs OpenMP. Kubeflow's launcher writes copies of artifacts to /gcs, as this user.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home farebox \
    && install -d -o farebox -g farebox /gcs /farebox
COPY --from=build /opt/farebox /opt/farebox
ENV PATH=/opt/farebox/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /farebox
HEALTHCHECK --interval=5m --timeout=30s CMD ["farebox", "doctor"]
CMD ["farebox", "--help"]
