#!/bin/sh
# Asks a user for approval with curl and sed, for comparison with
# `autharmor approve`:
#
#     approve.sh URL CLIENT_ID SECRET_FILE CA_FILE USER
#
# It makes the same calls, and none of the program's checks: not for real logins.
set -eu
url=$1 client_id=$2 secret_file=$3 ca=$4 user=$5

field() { sed -nE 's/.*"'"$1"'":"?([^",}]*).*/\1/p'; }
http() { curl --silent --show-error --fail --max-time 30 --noproxy '*' --cacert "$ca" "$@"; }
call() { printf 'header = "Authorization: Bearer %s"\n' "$token" | http --config - "$@"; }

token=$(http "$url/connect/token" --data grant_type=client_credentials \
    --data-urlencode "client_id=$client_id" \
    --data-urlencode "client_secret@$secret_file" | field access_token)
started=$(call "$url/v3/auth/authenticator/start" --json \
    "{\"username\": \"$user\", \"send_push\": true, \"action_name\": \"Login\", \"short_msg\": \"x\"}")
request=$(echo "$started" | field auth_request_id)
proof=$(echo "$started" | field auth_validation_token)
n=0
while :; do
    sleep 1
    status=$(call "$url/v3/auth/$request" | field auth_request_status_id)
    [ "$status" != 4 ] || break
    n=$((n + 1))
    [ "$n" -lt 60 ]
done
call "$url/v3/auth/authenticator/validate" --json \
    "{\"auth_request_id\": \"$request\", \"auth_validation_token\": \"$proof\"}" |
    grep -q '"authorized":true'
