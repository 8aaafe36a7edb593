#!/bin/sh
# Fuzzes the parsers of what strangers send over HTTP, each for SECONDS_EACH (60).
# atheris is installed beside the environment, not into it: it is needed for nothing else.
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
library=".fuzz/library"
if ! PYTHONPATH="$library" "$python" -c "import atheris" 2>/dev/null; then
    if ! "$python" -m pip install -q --no-deps --target "$library" "atheris>=2.3,<4"; then
        echo "atheris cannot be installed here; tests/hostile fuzzes with hypothesis without it"
        exit 0
    fi
fi
for target in multipart media-type qido accept; do
    echo "== $target"
    mkdir -p ".fuzz/$target"
    PYTHONPATH="$library" "$python" tests/hostile/fuzz_parsers.py "$target" ".fuzz/$target" \
        -max_total_time="${SECONDS_EACH:-60}" -max_len=600 -artifact_prefix=".fuzz/" \
        -verbosity=0 -print_final_stats=1
done
