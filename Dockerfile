# The image of the server: the shipped bundles, kernels for every processor, and no tool that builds or trains.
# How it is built and run, and why it is as it is: docs/image.md.

# To pin it to the byte: --build-arg PYTHON_IMAGE=docker.io/library/python@sha256:DIGEST
ARG PYTHON_IMAGE=docker.io/library/python:3.11.14-slim-bookworm


# What builds and what runs begins from one image: one C library, one Python. The virtual environment is the one that
# runs later; of the locked packages it holds so far what the project itself is built with.
FROM ${PYTHON_IMAGE} AS builder
# Debian keeps one version of a package per release; a pinned one is gone with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libc6-dev tini \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements.lock ./
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python install --no-compile --no-cache-dir \
        "$(grep -o '^setuptools==[^ ;]*' requirements.lock)"


# Nothing of the project but the kernels: only a change of theirs compiles them again.
FROM builder AS kernels
COPY model/__init__.py model/
COPY model/native model/native
COPY scripts/image_kernels.py scripts/
RUN PYTHONPATH=. python3 scripts/image_kernels.py /var/cache/verto


FROM builder AS packages
# cpu or cuda: the build of torch that the image is to hold. TORCH_INDEX_URL: the package index that torch alone is
# taken from, which decides what build it is; empty: the one that all others come from.
ARG VARIANT=cpu
ARG TORCH_INDEX_URL=""
COPY scripts/image_packages.py ./
# torch first and alone: with the wrong build it ends there, and not after gigabytes of CUDA libraries. All in one
# layer, so that none holds what the next one removes.
RUN --mount=type=cache,target=/root/.cache/pip \
    install="python3 -m pip --python /opt/venv/bin/python install --no-compile" \
    && $install --no-deps ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} \
        "$(grep -o '^torch==[^ ;]*' requirements.lock)" \
    && python3 image_packages.py check "$VARIANT" /opt/venv \
    && $install --requirement requirements.lock \
    && python3 image_packages.py trim /opt/venv \
    && echo /app > "$(echo /opt/venv/lib/python3.*/site-packages)/verto.pth"


FROM builder AS app
COPY pyproject.toml README.md LICENSE ./
COPY cli cli
COPY model model
COPY service service
RUN python3 -m pip --python /opt/venv/bin/python install --no-deps --no-build-isolation --no-compile --no-cache-dir \
        --target /app . \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /app \
    && chmod -R u=rwX,go=rX /app


# As readable as the program, whatever the umask of whoever cloned the repository: the server is not root.
FROM builder AS bundles
COPY checkpoints /checkpoints
RUN chmod -R u=rwX,go=rX /checkpoints


FROM ${PYTHON_IMAGE}
ARG VARIANT=cpu
# Triton, which the attention on a GPU is written in, compiles its access to the driver on the machine that it runs
# on. On a processor nothing is compiled. Neither installs packages, so pip goes.
# hadolint ignore=DL3008
RUN if [ "$VARIANT" = cuda ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends gcc libc6-dev \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
    && groupadd --gid 10001 verto \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin verto
COPY --from=builder /usr/bin/tini /usr/bin/tini
COPY --from=packages /opt/venv /opt/venv
COPY --from=kernels /var/cache/verto /var/cache/verto
COPY --from=bundles /checkpoints /app/checkpoints
COPY --from=app /app /app

ENV PATH=/app/bin:/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    VERTO_HOST=0.0.0.0 \
    VERTO_MODELS_DIR=/app/checkpoints \
    VERTO_CACHE_DIR=/var/cache/verto
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
# tini hands SIGTERM on from the first moment; Python as process 1 would miss one that comes while it starts. -s: quiet
# under another init (`docker run --init`, a shared process namespace).
ENTRYPOINT ["tini", "-s", "--", "verto", "serve"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 CMD ["verto", "health"]

# Last: another revision builds nothing again.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=""
LABEL org.opencontainers.image.title="verto" \
      org.opencontainers.image.description="A translation server that a team runs itself" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
