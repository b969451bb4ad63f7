# What containers of a compiled pipeline run in (docs/cluster.md), and what `farebox schedule --emit kubernetes` starts.
# Built of the lane's lock and our wheel by tools/env.sh, as `farebox rehearse` does without Docker. Lane A:
#   make image IMAGE=REGISTRY/farebox
# Lane B: ARGS="--build-arg PYTHON=3.12 --build-arg DEBIAN=trixie"
ARG PYTHON=3.10
ARG DEBIAN=bookworm

FROM python:${PYTHON}-slim-${DEBIAN} AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# With bytecode, which the user below may not write there.
RUN UV_COMPILE_BYTECODE=1 tools/env.sh image /opt/farebox

FROM python:${PYTHON}-slim-${DEBIAN}
# OpenMP for LightGBM. Kubeflow's launcher writes copies of artifacts to /gcs, as our user.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home farebox \
    && install -d -o farebox -g farebox /gcs /farebox
COPY --from=build /opt/farebox /opt/farebox
ENV PATH=/opt/farebox/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /farebox
HEALTHCHECK --interval=5m --timeout=30s CMD ["farebox", "doctor"]
CMD ["farebox", "--help"]
