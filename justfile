# One list of checks for people and for CI; `.ci/run` runs `just ci` step by step without needing just.

# Everything that CI runs.
ci:
    bash .ci/run

# Formatting, lints, documentation, and the wall between the two floors.
check:
    bash .ci/steps check

# Unit, integration, corpus and compile-fail tests.
test:
    bash .ci/steps test

# The embedded demo, asserting each of its answers.
demo:
    bash .ci/steps demo

# Every fuzz target for 15 seconds.
fuzz-smoke:
    bash .ci/steps fuzz

# Instructions that reading, scoping and proving queries takes, held against bench/lang/budgets.txt.
instructions:
    bash .ci/steps instructions

# Bans, licences and sources of the dependencies.
deny:
    bash .ci/steps deny

# The book of docs/, into target/book.
book:
    bash .ci/steps book

# Real Prometheus, Loki, Tempo, Alertmanager and Keycloak; installs what it needs.
conformance:
    bash .ci/steps conformance

# Random questions, N of each language, each asked three ways; PALISADE_INTERFERENCE_SEED makes the same again.
interference N='20000':
    PALISADE_INTERFERENCE={{N}} bash .ci/steps interference

# What takes too long for each change: see CONTRIBUTING.md.
nightly:
    PALISADE_INTERFERENCE=5000 bash .ci/steps interference
    PALISADE_ORACLE=200000 bash .ci/steps oracle
    FUZZ_SECONDS=300 bash .ci/steps fuzz

# The routes that the backends register, held against what tests/routes has of them.
routes:
    bash .ci/steps routes

# Our readers beside the parsers of Prometheus, Loki and Tempo; installs what it needs.
oracle:
    PALISADE_ORACLE=200000 bash .ci/steps oracle

# The page that explains requests, in a real browser; installs chromium if it is missing.
browser:
    bash .ci/steps browser

# What callers, backends, disks and operators do wrong, done to the program that is built.
faults:
    bash .ci/steps faults

# What deploy/ installs, held against what takes it; installs helm and kustomize from their Go modules.
install:
    bash .ci/steps install

# What a release has: packages, image, bill of materials; built twice and looked at.
package:
    bash .ci/steps package

# CPU time per request beside nginx; installs nginx if it is missing.
bench:
    bash bench/run

# What the fence in front of TraceQL's pipelines costs a Tempo of 1,000,000 spans.
fence:
    bench/fence/run
