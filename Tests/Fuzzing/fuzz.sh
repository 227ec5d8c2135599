#!/bin/bash
# Fuzzes everything that accepts bytes from outside:
#
#   fuzz.sh SECONDS [SUBJECT…]     a line for each subject at the end; fails if there is a finding
#
# A finding is left as .build/fuzz/findings/SUBJECT-*: minimise it with the target's own -minimize_crash=1, and keep it
# in Corpora/SUBJECT once it is mended.
set -euo pipefail

seconds=${1:?usage: fuzz.sh SECONDS [SUBJECT…]}
shift
subjects=("$@")
[ $# -gt 0 ] || subjects=(capture domain manifest monitor packets token wire witness)

here=$(cd "$(dirname "$0")" && pwd)
root=${HOLDFAST_PACKAGE:-$(cd "$here/../.." && pwd)}
scratch=$root/.build/fuzz
# A trap ends the process at once; Swift's own handler would take minutes for each.
export HOLDFAST_FUZZ=1 SWIFT_BACKTRACE=enable=no
# Foundation and libxml2 keep what they once allocated.
export ASAN_OPTIONS=detect_leaks=0

build() {
    ${SWIFT:-swift} build --package-path "$root" --scratch-path "$scratch" \
        -Xswiftc -sanitize=fuzzer,address -Xswiftc -enable-testing "$@"
}

for subject in "${subjects[@]}"; do build --product "Fuzz${subject^}"; done
programs=$(build --show-bin-path)
mkdir -p "$scratch/findings" "$scratch/logs"

failed=0
lines=()
for subject in "${subjects[@]}"; do
    grown=$scratch/corpus/$subject
    log=$scratch/logs/$subject
    mkdir -p "$grown"
    rm -f "$scratch/findings/$subject-"*
    status=0
    "$programs/Fuzz${subject^}" "$grown" "$here/Corpora/$subject" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -artifact_prefix="$scratch/findings/$subject-" \
        >"$log" 2>&1 || status=$?
    executions=$(awk '/number_of_executed_units/ { print $2 }' "$log")
    rate=$(awk '/average_exec_per_sec/ { print $2 }' "$log")
    findings=$(find "$scratch/findings" -name "$subject-*" | wc -l)
    # A target that ends otherwise than well has found something, even if it could not write it down.
    if [ "$status" != 0 ] || [ "$findings" != 0 ]; then
        failed=1
        [ "$findings" != 0 ] || findings="see $log"
    fi
    lines+=("$(printf '%-10s %10s executions %7s/s  findings: %s' \
        "$subject" "${executions:-?}" "${rate:-?}" "$findings")")
done
printf '%s\n' "${lines[@]}"
exit $failed
