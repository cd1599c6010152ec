# Every recipe is a short command that you can as well type: nothing here is needed to build, test or run.

# Lists the recipes.
default:
    @just --list

# The whole service on a private database.
up *options:
    cargo run --release -- up {{options}}

# Collects 200 resumes, searches them, leaves.
demo *options:
    cargo run --release -- demo {{options}}

# All tests; they bring their own database.
test *options:
    cargo test --workspace {{options}}

# What CI runs.
check:
    CI=true bash .ci/run

# A crash before and after every SQL statement; see crash-kit/README.md.
crash *options:
    cargo run -p resume-crash-kit -- all {{options}}

# Formats the code.
fmt:
    cargo fmt --all

# Writes openapi.yaml anew after a change of the API.
openapi:
    cargo run --quiet -- openapi > openapi.yaml

# Fails when openapi.yaml is not what the code says.
openapi-check:
    cargo run --quiet -- openapi | diff -u openapi.yaml -

# Writes .sqlx anew after a change of an SQL text or a migration.
sqlx-prepare:
    bash migrations/prepare-queries

# Speed; see bench/README.md.
bench program *options:
    cargo run --release -p bench --bin {{program}} -- {{options}}
