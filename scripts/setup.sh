# Sourced by the other scripts: makes .venv once and installs the extras asked for.
#   set_up EXTRAS        e.g. set_up experiments
# shellcheck shell=sh

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# A Python that is new enough: $PYTHON where it is set, else the first on the PATH.
find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    found=$(${PYTHON:-python3} --version 2>&1) || found="no Python"
    fail "Python >= 3.11 is needed, found: $found. Install it, or name one: PYTHON=python3.12 $0"
}

set_up() {
    extras=$1
    cd "$root" || fail "can't enter $root"
    # What was installed from this pyproject; a change of it installs again. dev holds
    # all the other extras.
    wanted=$(cksum <pyproject.toml)
    for stamp in .venv/.installed-dev ".venv/.installed-$extras"; do
        if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
            return
        fi
    done
    # A .venv without pip is what an interrupted first run leaves.
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || exit 1
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python has no venv module. On Debian and Ubuntu: apt install python3-venv"
        rm -rf .venv
        "$python" -m venv .venv || fail "$python -m venv .venv failed"
    fi
    printf 'Installing lstm_jax[%s] into .venv; this happens once and takes minutes.\n' "$extras" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" ||
        fail "pip could not install lstm_jax[$extras]; by hand: .venv/bin/python -m pip install --editable '.[$extras]'"
    printf '%s' "$wanted" >"$stamp"
}
