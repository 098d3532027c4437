# The gateway with what most MCP servers are started by: npx (Node) and uvx (uv). It serves HTTP at /mcp. Use:
#   docker build -t asyncfc-mcp .
#   export ASYNCFC_TOKEN=$(openssl rand -hex 32)
#   docker run --rm -p 127.0.0.1:8765:8765 -e ASYNCFC_TOKEN -v /absolute/config.json:/config.json:ro asyncfc-mcp
# and give clients http://localhost:8765/mcp with the header "Authorization: Bearer $ASYNCFC_TOKEN". Clients that call it
# by another name need that said: add `serve --config /config.json --transport http --host 0.0.0.0 --allow-host NAME`.
# On stdio, started by the client itself:
#   docker run -i --rm -v /absolute/config.json:/config.json:ro -v /absolute/data:/data asyncfc-mcp serve --config /config.json
# The servers of the configuration run inside the container, so their paths are paths in there.

FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY asyncfc_mcp ./asyncfc_mcp
RUN python -m venv /opt/asyncfc && /opt/asyncfc/bin/pip install --no-cache-dir ".[metrics,otel]" uv

FROM node:22-bookworm-slim AS node

FROM python:3.13-slim-bookworm
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 asyncfc \
    && install --directory --owner asyncfc /state
COPY --from=build /opt/asyncfc /opt/asyncfc
ENV PATH=/opt/asyncfc/bin:$PATH ASYNCFC_STATE_FOLDER=/state
USER asyncfc
WORKDIR /home/asyncfc
# npx and uvx leave processes behind that only a process 1 can bury, and the gateway is none
ENTRYPOINT ["tini", "--", "asyncfc-mcp"]
EXPOSE 8765
# of the HTTP service below; for another port or for stdio: --no-healthcheck, or --health-cmd with one of your own
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://localhost:8765/health', timeout=4)"]
CMD ["serve", "--config", "/config.json", "--transport", "http", "--host", "0.0.0.0"]
