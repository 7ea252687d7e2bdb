# kb-assistant with its page and API. full adds torch, OCR, training and other providers.
#   docker build --target slim -t kb-assistant:slim .        docker build --target full -t kb-assistant:full .
# All data lies in /data, the home. docs/deploy.md says the rest.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m venv /opt/kb
ENV PATH=/opt/kb/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY kb_assistant kb_assistant
COPY ingest ingest
COPY ui ui
COPY sample_docs sample_docs
RUN pip install -c constraints.txt ".[cpu,llama,ui,serve,locked]"

FROM ${BASE} AS run
# llama.cpp's wheel needs libgomp.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin kb \
    && install -d -o kb -g kb /data
ENV PATH=/opt/kb/bin:$PATH KB_HOME=/data HOME=/data PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8502
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8502/healthz', timeout=4)"]
ENTRYPOINT ["kb"]
CMD ["serve", "--page", "--host", "0.0.0.0"]

FROM run AS slim
COPY --from=build /opt/kb /opt/kb

FROM build AS build-full
# The CPU build of torch; for CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install -c constraints.txt --index-url "$TORCH_INDEX" torch \
    && pip install -c constraints.txt ".[cpu,llama,ui,serve,locked,torch,train,ocr,openai,eval]"

FROM run AS full
COPY --from=build-full /opt/kb /opt/kb
