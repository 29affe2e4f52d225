# One image for all parts of loopfleet; docker-compose.yml starts them. Redis is a container of its own.
FROM node:20-slim AS build
WORKDIR /app
ENV ONNXRUNTIME_NODE_INSTALL=skip
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
COPY licenses ./licenses
RUN npm run build && npm run vendor && npm prune --omit=dev --no-fund --no-audit

FROM node:20-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 python3-venv util-linux \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# The example trainer, with its own Python environment; mount or add the folder of your trainer beside it.
COPY examples/shapes-trainer ./examples/shapes-trainer
COPY examples/shapes-quantize ./examples/shapes-quantize
RUN python3 -m venv examples/shapes-trainer/.venv \
  && examples/shapes-trainer/.venv/bin/pip install --no-cache-dir -r examples/shapes-trainer/requirements.txt
COPY package.json redis.conf LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/vendor ./vendor
ENV NODE_ENV=production DATA_FOLDER=/data
RUN mkdir /data && chown node:node /data
VOLUME /data
USER node
ENTRYPOINT ["/bin/sh", "/app/dist/src/cli/launch/loopfleet.sh"]
CMD ["--help"]
