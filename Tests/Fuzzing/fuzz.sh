#!/bin/bash
# Fuzzes everything that accepts bytes from outside:
#
#   [JOBS=n] fuzz.sh SECONDS [SUBJECT…]     a line for each subject at the end; fails if there is a finding
#
# JOBS subjects are run at the same time, each for SECONDS. A finding is left as .build/fuzz/findings/SUBJECT-*:
# minimise it with `holdfast-fuzz SUBJECT -minimize_crash=1`, and keep it in Corpora/SUBJECT once it is mended.
set -euo pipefail

seconds=${1:?usage: fuzz.sh SECONDS [SUBJECT…]}
shift
jobs=${JOBS:-1}

here=$(cd "$(dirname "$0")" && pwd)
root=${HOLDFAST_PACKAGE:-$(cd "$here/../.." && pwd)}
scratch=$root/.build/fuzz
subjects=("$@")
# Each subject has a folder of kept inputs: a test says so.
[ $# -gt 0 ] || mapfile -t subjects < <(ls "$here/Corpora")

# A trap ends the process at once; Swift's own handler would take minutes for each.
export HOLDFAST_FUZZ=1 SWIFT_BACKTRACE=enable=no
# Foundation and libxml2 keep what they once allocated.
export ASAN_OPTIONS=detect_leaks=0
# Settings of this machine would stand over those that are made up.
unset "${!HOLDFAST_AGENT_@}" "${!HOLDFAST_MANAGER_@}"

build() {
    ${SWIFT:-swift} build --package-path "$root" --scratch-path "$scratch" \
        -Xswiftc -sanitize=fuzzer,address -Xswiftc -enable-testing --product holdfast-fuzz "$@"
}

build
program=$(build --show-bin-path)/holdfast-fuzz
mkdir -p "$scratch/findings" "$scratch/logs"

# The last number that `pattern` finds in a log.
last() { grep -oP "$1" "$2" | tail -1 || true; }

# Fuzzes one subject and leaves its line in a file.
fuzz() {
    local subject=$1 status=0 grown=$scratch/corpus/$1 log=$scratch/logs/$1
    # Foundation keeps some 50 KB of every text that its XMLDocument reads.
    local memory=2048
    [ "$subject" != domain ] || memory=8192
    mkdir -p "$grown"
    rm -f "$scratch/findings/$subject-"* "$log.line"
    "$program" "$subject" "$grown" "$here/Corpora/$subject" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb="$memory" -malloc_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$scratch/findings/$subject-" \
        >"$log" 2>&1 &
    local findings process=$!
    wait "$process" || status=$?
    # What a run that was ended could not clear away.
    rm -rf "/dev/shm/holdfast-fuzz-$process" "/tmp/holdfast-fuzz-$process"
    findings=$(find "$scratch/findings" -name "$subject-*" | wc -l)
    # A run that ends otherwise than well has found something, even if it could not write it down.
    [ "$status" = 0 ] || [ "$findings" != 0 ] || findings="see $log"
    printf '%-14s %7s %10s %12s %8s  %s\n' "$subject" "$(last ' in \K\d+(?= second)' "$log")" \
        "$(last 'number_of_executed_units: \K\d+' "$log")" "$(last 'average_exec_per_sec: *\K\d+' "$log")" \
        "$(last ' cov: \K\d+' "$log")" "$findings" >"$log.line"
    [ "$status" = 0 ]
}

failed=0
running=0
for subject in "${subjects[@]}"; do
    if [ "$running" = "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$subject" &
    running=$((running + 1))
done
for ((; running > 0; running--)); do wait -n || failed=1; done

printf '%-14s %7s %10s %12s %8s  %s\n' subject seconds executions executions/s edges findings
for subject in "${subjects[@]}"; do cat "$scratch/logs/$subject.line"; done
exit $failed
