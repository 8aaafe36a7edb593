#!/bin/sh
# Installs the programs that tests and benchmarks talk to. --if-possible: say so and go on where it cannot.
# Tests of a program that is missing are skipped; in CI (variable CI) as root on Debian they fail, or
# everywhere with PEERS_REQUIRED=1 (0: nowhere).
set -eu
packages="dcmtk orthanc orthanc-dicomweb dicom3tools strace"
wanted=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || wanted="$wanted $package"
done
# Pages are looked at in the system's browser, whatever it is called there.
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || wanted="$wanted chromium"
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=""
elif sudo -n true 2>/dev/null; then as_root="sudo -n"
else as_root="no"; fi

if [ "$as_root" = no ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed (needs root and apt-get):$wanted. Tests that talk to them will be skipped." >&2
    [ "${1:-}" = "--if-possible" ] && exit 0
    exit 1
fi

echo "Installing peers for the tests:$wanted ..."
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
$as_root apt-get update -qq || true
failed=""
# shellcheck disable=SC2086
if ! install $wanted; then
    # One that a distribution lacks must not keep the others away.
    for package in $wanted; do install "$package" || failed="$failed $package"; done
fi
if [ -n "$failed" ]; then
    echo "These peers could not be installed:$failed" >&2
    [ "${1:-}" = "--if-possible" ] && exit 0
    exit 1
fi
