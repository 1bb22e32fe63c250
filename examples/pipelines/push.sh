#!/bin/sh
# Push an image tar by the queue's HTTP API, and wait for the end. Needs curl 7.76 and jq.
#
#   push.sh app.tar reg.example.com/team/app:1.0 [REF...]
#
#   PUSH_QUEUE_SERVER    URL of the HTTP API
#   PUSH_QUEUE_TOKEN     token for it; in GitHub Actions, one is asked for by OpenID Connect
#   PUSH_QUEUE_AUDIENCE  whom that one is for; PUSH_QUEUE_SERVER unless given
#   PUSH_QUEUE_TIMEOUT   seconds to wait for the end, 3600 unless given
#
# Writes the digest to standard output. Exit status, as of the command push-queue: 0 pushed, also if a
# newer job has superseded this one; 1 the push failed; 2 bad input; 3 the server cannot be reached;
# 4 not known yet.
set -eu

main() {
    tar=$1
    shift
    call --upload-file "$tar" "$api/uploads/"
    source=$(field .source)
    upload=$(field .id)
    # A request that is sent again is the same job, since it has the same key.
    call --header "Idempotency-Key: $upload" --header 'Content-Type: application/json' \
        --data "$(jq --null-input --arg source "$source" '{$source, targets: $ARGS.positional}' --args "$@")" \
        "$api/jobs"
    id=$(field .id)
    upload=
    echo "push.sh: job $id is queued" >&2
    follow "$id" "$(($(date +%s) + ${PUSH_QUEUE_TIMEOUT:-3600}))"
}

follow() {
    state=queued
    while [ "$(date +%s)" -lt "$2" ]; do
        call "$api/jobs/$1?wait=30"
        state=$(field .state)
        case $state in
            succeeded | superseded)
                echo "push.sh: job $1 $state" >&2
                field '.digest // empty'
                return ;;
            failed | cancelled)
                fail 1 "job $1 $state: $(field '.error // "no reason is given"')" ;;
        esac
    done
    fail 4 "job $1 is still $state; it goes on without this script"
}

# Calls the API with these options of curl; the body of the answer is in $answer.
call() {
    status=0
    # The token is read from standard input: arguments can be seen by other users of the machine.
    answer=$(authorization | curl --silent --show-error --fail-with-body --config - \
        --retry 5 --retry-connrefused "$@") || status=$?
    [ "$status" -ne 0 ] || return 0
    case $(field '.status // empty') in
        4??)
            why=$(field .detail)
            [ -z "${upload:-}" ] || discard
            fail 2 "$why" ;;
        *) fail 3 "$PUSH_QUEUE_SERVER: no answer (curl $status)" ;;
    esac
}

# No job will name the upload, which would take room at the server for a day.
discard() {
    authorization | curl --silent --config - --request DELETE "$api/uploads/$upload" >/dev/null || :
}

authorization() {
    token=${PUSH_QUEUE_TOKEN:-}
    if [ -z "$token" ] && [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ]; then
        # GitHub's tokens last for minutes, so each request has its own.
        token=$(echo "header = \"Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\"" |
            curl --silent --show-error --fail --retry 5 --config - \
                "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=${PUSH_QUEUE_AUDIENCE:-$PUSH_QUEUE_SERVER}" | jq -r .value)
    fi
    [ -z "$token" ] || echo "header = \"Authorization: Bearer $token\""
}

field() {
    printf '%s' "$answer" | jq -r "$1" 2>/dev/null || :
}

fail() {
    echo "push.sh: $2" >&2
    exit "$1"
}

[ $# -ge 2 ] || fail 2 "usage: push.sh TAR REF [REF...]"
[ -f "$1" ] || fail 2 "$1 does not exist"
[ -n "${PUSH_QUEUE_SERVER:-}" ] || fail 2 "set PUSH_QUEUE_SERVER to the URL of the HTTP API"
api=${PUSH_QUEUE_SERVER%/}/api/v1
main "$@"
