#!/bin/sh
# `moe serve` with nothing but curl.
#
#     export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=moe-...
#     sh docs/clients/curl.sh
set -eu

ask() {
    path=$1
    shift
    curl --silent --show-error --fail-with-body --max-time 60 \
        --header "Authorization: Bearer $OPENAI_API_KEY" --header "Content-Type: application/json" \
        "$@" "$OPENAI_BASE_URL/$path"
    echo
}

echo "Whole:"
ask chat/completions --data '{"model": "moe", "messages": [{"role": "user", "content": "What is 17% of 2,340?"}]}'

echo "Streamed:"
ask chat/completions --no-buffer \
    --data '{"model": "moe-cheap", "stream": true, "messages": [{"role": "user", "content": "Tell me about the sea."}]}'

echo "Where it would go, without asking anybody:"
ask route --data '{"model": "moe", "messages": [{"role": "user", "content": "Write a poem about rain."}]}'

echo "What there is to ask for:"
ask models
