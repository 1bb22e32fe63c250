# The worker, and the push-queue command beside it.
#   docker build -t push-queue .
#   docker build --build-arg PYTHON_IMAGE=your.registry/python:3.12-slim -t push-queue .
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# pip and the build tools stay outside: the environment holds what the worker imports, and no more.
RUN python3 -m venv --without-pip /opt/venv
WORKDIR /src
# The pins change less often than the code, so they are a layer of their own. The lists are complete:
# nothing is resolved, and what the index gains later changes nothing.
COPY requirements requirements
RUN python3 -m pip install --no-deps --require-hashes -r requirements/build.txt \
    && python3 -m pip --python /opt/venv/bin/python install --no-deps --require-hashes -r requirements/runtime.txt
COPY . .
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && python3 -m pip --python /opt/venv/bin/python install --no-deps --no-index /dist/*.whl \
    && python3 -m pip --python /opt/venv/bin/python check

FROM ${PYTHON_IMAGE}
# The numbers are fixed so that a shared image volume can be made readable for them.
RUN groupadd --gid 10001 worker && useradd --uid 10001 --gid worker --create-home worker
COPY --from=builder /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /home/worker
# Python runs as process 1 and handles this itself: jobs in flight get their grace period.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=20s CMD ["push-worker", "--check"]
CMD ["push-worker"]
