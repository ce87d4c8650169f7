# Two stages: the first installs from hash-locked packages and trims, the second runs.
# Nothing is written outside /var/lib/shiftwatch and /tmp, so the root file system may be read-only:
#   docker run --read-only --tmpfs /tmp -v state:/var/lib/shiftwatch -v ./conf:/etc/shiftwatch:ro shiftwatch
FROM python:3.11-slim-bookworm AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv --without-pip /opt/shiftwatch \
 && python3 -m venv --without-pip /opt/build \
 && pip --python /opt/shiftwatch/bin/python install --quiet --require-hashes -r requirements.lock \
 && pip --python /opt/build/bin/python install --quiet --require-hashes -r requirements-build.lock

# Tests, headers and sources of the libraries; Arrow's Flight, which nothing here speaks, and the
# second and third copy of one of its libraries (the linked name is the one that stays); what
# onnxruntime has for making models smaller, not for running them.
WORKDIR /opt/shiftwatch/lib/python3.11/site-packages
RUN find . -type d -name tests -prune -exec rm -rf {} + \
 && find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.h' -o -name '*.hpp' \) -delete \
 && rm -rf pyarrow/include pyarrow/src numpy/_core/include \
      pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so* pyarrow/_flight.*.so \
      pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.* \
      onnxruntime/transformers onnxruntime/quantization onnxruntime/tools

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY shiftwatch shiftwatch
RUN pip --python /opt/build/bin/python wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel . \
 && pip --python /opt/shiftwatch/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/shiftwatch/lib

# What was trimmed must not be missed.
RUN /opt/shiftwatch/bin/python -I -c \
  "import shiftwatch.check, shiftwatch.daemon, pyarrow.dataset, pyarrow.fs, onnxruntime, sklearn.ensemble"


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="shiftwatch" \
      org.opencontainers.image.description="Watches a deployed ONNX model for distribution shift" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=builder /opt/shiftwatch /opt/shiftwatch
RUN install --directory --owner 10001 --group 10001 /var/lib/shiftwatch

# One thread per library: the worker is small on purpose and shares its machine with the model server.
ENV PATH=/opt/shiftwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
    HOME=/tmp

USER 10001:10001
WORKDIR /var/lib/shiftwatch
VOLUME /var/lib/shiftwatch
EXPOSE 9464
# For docker and compose; Kubernetes has probes of its own. A bare socket, as an HTTP library costs
# more to import than the question does. With web.tls or another port: --no-healthcheck, or yours.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-ISc", "import socket, sys; c = socket.create_connection(('127.0.0.1', 9464), 4); c.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in c.recv(64))"]
ENTRYPOINT ["shiftwatch"]
CMD ["run", "/etc/shiftwatch/shiftwatch.yml"]
