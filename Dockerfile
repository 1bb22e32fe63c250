# The worker, the HTTP API and the push-queue command; docker-compose.yml shows how to run it.
#   make image
#   docker build --build-arg PYTHON_IMAGE=your.registry/python:3.12-slim -t push-queue .
#
# The same sources make the same layers, byte for byte. Hence each stage that fills the image leaves
# one time on all it wrote, the folders above included, and the last stage only copies. It is the same
# time in every release: the builder's cache looks at no times, so it gives out layers of older ones.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The lists are complete: nothing is resolved, and what the index gains later changes nothing.
COPY requirements/build.txt requirements/
RUN python3 -m pip install --no-deps --require-hashes -r requirements/build.txt

# The pins change less often than the code, so they are a layer of their own.
FROM builder AS dependencies
COPY requirements/runtime.txt requirements/
# pip stays outside: the environment holds what the programs import, and no more. Bytecode that is
# not compared with its source needs no time stamps, and the root file system is read-only anyway.
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python install --no-deps --require-hashes --no-compile \
        -r requirements/runtime.txt \
    # CPython uses the other backend.
    && rm /opt/venv/lib/python3.*/site-packages/zstandard/_cffi.*.so \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib \
    && mkdir -p /packages/opt && cp -a /opt/venv /packages/opt/ \
    && find /packages -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +

FROM dependencies AS program
COPY . .
# Without the client beside it, the queue asks for it by version instead of by path.
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist ./registry_api_v2_client \
    && rm -r registry_api_v2_client \
    && python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && python3 -m pip --python /opt/venv/bin/python install --no-deps --no-index --no-compile \
        --root /program /dist/*.whl \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -s /program /program \
    # Together they have to be complete.
    && cp -a /program/. / && python3 -m pip --python /opt/venv/bin/python check \
    # The numbers are fixed, so that a shared volume can be made readable for them.
    && mkdir -p /program/etc \
    && sed '$a worker:x:10001:10001::/home/worker:/usr/sbin/nologin' /etc/passwd >/program/etc/passwd \
    && sed '$a worker:x:10001:' /etc/group >/program/etc/group \
    # A named volume that is mounted at /spool belongs to that user, too.
    && install --directory --owner 10001 --group 10001 /program/home/worker /program/spool \
    && find /program -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +

FROM ${PYTHON_IMAGE}
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="push-queue" \
    org.opencontainers.image.description="A background upload queue for container images" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=dependencies /packages /
COPY --from=program /program /
# A worker touches the file, so the check is of this worker alone, and costs next to nothing.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/home/worker \
    PUSH_QUEUE_ALIVE_FILE=/tmp/push-worker-alive
USER 10001:10001
WORKDIR /home/worker
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=20s \
    CMD test -n "$(find "$PUSH_QUEUE_ALIVE_FILE" -mmin -0.5)"
CMD ["push-worker"]
