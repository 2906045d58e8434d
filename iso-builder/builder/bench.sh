#!/bin/sh
# Numbers of the bundle beside what they are compared to, as a table and as JSON.
#   bench.sh <iso-builder> <catalog> <secret key> <public key> <iso> [<json file>]
# The ISO must have been built with these arguments; it is read, and rebuilt unchanged.
set -eu
builder=$1 catalog=$2 key=$3 pub=$4 iso=$5 json=${6:-}

# Milliseconds of the fastest of five runs: the others met something else on the machine.
fastest() {
    best=
    for _ in 1 2 3 4 5; do
        begun=$(date +%s%N)
        "$@" >/dev/null 2>&1
        took=$(( ($(date +%s%N) - begun) / 1000000 ))
        if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
    done
    echo "$best"
}

size=$(stat -c %s "$iso")
cat "$iso" >/dev/null # all runs read from memory
rebuild=$(fastest "$builder" build --catalog "$catalog" --key "$key" --output "$iso")
sha=$(fastest taskset -c 0 sha256sum "$iso")
one=$(fastest taskset -c 0 "$builder" verify "$iso" --trust "$pub" --threads 1)
two=$(fastest "$builder" verify "$iso" --trust "$pub" --threads 2)
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 1) }'; }
verdict() { awk "BEGIN { exit !($1) }" && echo ok || echo MISSED; }

table() {
    printf '%-34s %12s %-28s %s\n' NUMBER MEASURED "COMPARED TO" VERDICT
    printf '%-34s %9s MB %-28s %s\n' "core ISO" "$(ratio "$size" 1000000)" "at most 200 MB" \
        "$(verdict "$size <= 200000000")"
    printf '%-34s %9s ms %-28s %s\n' "unchanged rebuild" "$rebuild" "at most 3000 ms" \
        "$(verdict "$rebuild <= 3000")"
    printf '%-34s %9s ms %-28s %s\n' "verify, one core" "$one" "sha256sum: $sha ms" \
        "$(verdict "$one <= $sha")"
    printf '%-34s %9s ms %-28s %s\n' "verify, two cores" "$two" \
        "1.5x as fast as sha256sum" "$(verdict "$two * 1.5 <= $sha")"
}
table
[ -z "$json" ] || cat >"$json" <<EOF
{"isoBytes": $size, "unchangedRebuildMs": $rebuild, "sha256sumMs": $sha,
 "verifyOneCoreMs": $one, "verifyTwoCoresMs": $two,
 "speedOneCore": $(ratio "$sha" "$one"), "speedTwoCores": $(ratio "$sha" "$two")}
EOF
