#!/bin/sh
# Installs what the conformance tests run against: Prometheus, Loki, Tempo,
# Alertmanager and a collector of OpenTelemetry, built from the Go modules pinned
# below backends/, Keycloak from Maven Central and Redis from Debian. Does nothing
# for what is already there.
#
# Everything lands outside the clone, in ${PALISADE_CACHE:-~/.cache/palisade},
# under a name that carries a hash of what it was made from. Standard output is
# one line per component: `name=path`, or `name!reason` for one that cannot be
# had. It needs go (1.26), mvn, java (17) and unzip; about 20 minutes of
# processor time the first time, none after.
#
#   install.sh [component…]
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${PALISADE_CACHE:-$HOME/.cache/palisade}
keycloak=26.4.0
mkdir -p "$cache/bin"

missing() { printf '%s!%s\n' "$1" "$2"; }

# pageless MODULE: puts a copy of the module in the place of itself, with an
# empty page where its own is built by other tools. No test asks for pages.
pageless() {
    go mod download "$1" && cp -r "$(go list -m -f '{{.Dir}}' "$1")" module && chmod -R u+w module &&
        mkdir -p module/ui/app/dist && : >module/ui/app/dist/index.html &&
        go mod edit -replace "$1=./module"
}

# go_server NAME BUILD-TAGS PACKAGE…: each package's program, under its own name.
go_server() {
    name=$1 tags=$2
    shift 2
    key=$(cat "$here/backends/$name"/* | { cat; printf %s "$tags"; } | sha256sum | cut -c1-16)
    dir=$cache/bin/$name-$key
    if [ ! -x "$dir/$name" ]; then
        command -v go >/dev/null || { missing "$name" "go is not installed"; return; }
        echo "install.sh: building $name from its Go module" >&2
        # A copy, so that the build leaves the clone as it is.
        src=$cache/build/$name-$key
        rm -rf "$src" "$dir.new" && mkdir -p "$src" "$dir.new"
        cp "$here/backends/$name"/* "$src/"
        if [ "$name" = alertmanager ] && ! (cd "$src" && pageless github.com/prometheus/alertmanager >&2); then
            missing "$name" "its module cannot be fetched"
            return
        fi
        if ! (cd "$src" && GOFLAGS=-mod=readonly nice go build -tags "$tags" -trimpath \
            -ldflags '-s -w' -o "$dir.new/" "$@" >&2); then
            missing "$name" "its build failed"
            return
        fi
        rm -rf "$dir" && mv "$dir.new" "$dir" && rm -rf "$src"
    fi
    printf '%s=%s\n' "$name" "$dir/$name"
    if [ "$name" = prometheus ]; then printf 'promtool=%s\n' "$dir/promtool"; fi
}

keycloak_server() {
    dir=$cache/keycloak-$keycloak
    command -v java >/dev/null || { missing keycloak "java is not installed"; return; }
    if [ ! -e "$dir/lib/palisade-optimized" ]; then
        for tool in mvn unzip; do
            command -v $tool >/dev/null || { missing keycloak "$tool is not installed"; return; }
        done
        echo "install.sh: fetching keycloak $keycloak" >&2
        zip=$HOME/.m2/repository/org/keycloak/keycloak-quarkus-dist/$keycloak/keycloak-quarkus-dist-$keycloak.zip
        if [ ! -s "$zip" ]; then
            mvn -q -B dependency:get -Dtransitive=false \
                "-Dartifact=org.keycloak:keycloak-quarkus-dist:$keycloak:zip" >&2 ||
                { missing keycloak "maven cannot fetch it"; return; }
        fi
        rm -rf "$dir" "$dir.new" && mkdir -p "$dir.new"
        unzip -q "$zip" -d "$dir.new" && mv "$dir.new/keycloak-$keycloak" "$dir" && rm -rf "$dir.new" ||
            { missing keycloak "its archive does not unpack"; return; }
        # The slow part of a first start, done once.
        "$dir/bin/kc.sh" build --db=dev-mem >&2 && touch "$dir/lib/palisade-optimized" ||
            { missing keycloak "its build step failed"; return; }
    fi
    printf 'keycloak=%s\n' "$dir"
}

# What Tempo keeps its caches in, of Debian.
redis_server() {
    if ! command -v redis-server >/dev/null; then
        command -v apt-get >/dev/null || { missing redis "redis-server is not installed"; return; }
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends redis-server; } >&2 ||
            { missing redis "its package cannot be installed"; return; }
    fi
    printf 'redis=%s\n' "$(command -v redis-server)"
}

# In a function, so that a change of this file does not reach a run of it.
main() {
    [ $# -gt 0 ] || set -- prometheus loki tempo alertmanager collector redis keycloak
    for component; do
        case $component in
        prometheus)
            # Service discovery is half of Prometheus's weight, and none is used.
            go_server prometheus remove_all_sd \
                github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool
            ;;
        loki) go_server loki "" github.com/grafana/loki/v3/cmd/loki ;;
        tempo) go_server tempo "" github.com/grafana/tempo/cmd/tempo ;;
        alertmanager) go_server alertmanager "" github.com/prometheus/alertmanager/cmd/alertmanager ;;
        collector) go_server collector "" . ;;
        redis) redis_server ;;
        keycloak) keycloak_server ;;
        *) missing "$component" "no such component" ;;
        esac
    done
    exit
}
main "$@"
