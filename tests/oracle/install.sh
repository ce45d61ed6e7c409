#!/bin/sh
# Installs what the oracle runs: the Go program in parsers/ over the modules pinned there, and npm's
# grammars in lezer/. Does nothing for what is already there.
#
# Everything lands outside the clone, in ${PALISADE_CACHE:-~/.cache/palisade}, under a name that carries
# a hash of what it was made from. Standard output is one line per component: `name=path`, or
# `name!reason` for one that cannot be had. It needs go (1.26), node and npm; about 5 minutes of
# processor time the first time, none after.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${PALISADE_CACHE:-$HOME/.cache/palisade}
mkdir -p "$cache/bin"

missing() { printf '%s!%s\n' "$1" "$2"; }

hash_of() { (cd "$1" && for file in *; do printf '%s\n' "$file"; cat "$file"; done) | sha256sum | cut -c1-16; }

parsers() {
    dir=$cache/bin/oracle-$(hash_of "$here/parsers")
    command -v go >/dev/null || { missing oracle "go is not installed"; return; }
    # Tempo 2.9 needs the label sets that newer Prometheus has behind this tag.
    if [ ! -x "$dir/oracle" ]; then
        echo "install.sh: building the oracle from the backends' Go modules" >&2
        mkdir -p "$dir.new"
        if ! (cd "$here/parsers" && GOFLAGS=-mod=readonly nice go build -buildvcs=false -tags slicelabels -trimpath \
            -ldflags '-s -w' -o "$dir.new/oracle" . >&2); then
            missing oracle "its build failed"
            return
        fi
        rm -rf "$dir" && mv "$dir.new" "$dir"
    fi
    printf 'oracle=%s\n' "$dir/oracle"
    # Their own tests are read where Go keeps the modules.
    for module in prometheus/prometheus grafana/loki/v3 grafana/tempo; do
        source=$(cd "$here/parsers" && GOFLAGS=-mod=readonly go mod download -json "github.com/$module" |
            sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
        name=$(echo "$module" | sed 's|/v3$||; s|^.*/||')
        if [ -d "$source" ]; then
            printf '%s_source=%s\n' "$name" "$source"
        else
            missing "${name}_source" "its module cannot be had"
        fi
    done
}

grammars() {
    dir=$cache/lezer-$(hash_of "$here/lezer")
    for tool in node npm; do
        command -v $tool >/dev/null || { missing lezer "$tool is not installed"; return; }
    done
    if [ ! -d "$dir" ]; then
        rm -rf "$dir.new" && mkdir -p "$dir.new"
        cp "$here"/lezer/* "$dir.new/"
        if ! (cd "$dir.new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2); then
            missing lezer "npm cannot fetch its packages"
            return
        fi
        mv "$dir.new" "$dir"
    fi
    printf 'lezer=%s\n' "$dir"
}

# In a function, so that a change of this file does not reach a run of it.
main() {
    parsers
    grammars
    exit
}
main "$@"
