# The image of web, worker, beat and relay: what it runs is the command, docs/deployment.md says with which settings.
# Promises: packages by hash; an account without rights; nothing written but below /var/lib/headwater.
# On failure: a bad setting is one line on stderr and exit 2.
FROM python:3.12-slim-bookworm AS packages
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-input --disable-pip-version-check \
        --require-hashes -r requirements.lock \
    && /venv/bin/python -m compileall -q /venv/lib

FROM python:3.12-slim-bookworm
RUN groupadd --system --gid 10001 headwater \
    && useradd --system --uid 10001 --gid headwater --no-create-home --home-dir /var/lib/headwater \
        --shell /usr/sbin/nologin headwater \
    && install -d -m 0700 -o headwater -g headwater /var/lib/headwater
COPY --from=packages /venv /venv
WORKDIR /opt/headwater
COPY . .
RUN /venv/bin/python -m compileall -q .
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEADWATER_HOME=/var/lib/headwater \
    LOG_FORMAT=json \
    PORT=8000
USER 10001:10001
EXPOSE 8000
# The name is one of ALLOWED_HOSTS: any other is refused.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "\
import os, urllib.request as http; \
host = os.environ.get('ALLOWED_HOSTS', 'localhost').split(',')[0].strip().lstrip('.'); \
where = f\"http://127.0.0.1:{os.environ['PORT']}/healthz\"; \
http.urlopen(http.Request(where, headers={'Host': host}), timeout=4)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", \
     "--blocking-threads", "1", "--no-ws", "config.wsgi:application"]
