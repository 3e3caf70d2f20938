#!/bin/sh
# A new user registers and signs in with a phone, a passkey and a magic link: the
# emulator as any language sees it, with curl and nothing else.
#
#     autharmor emulator --http
#     tests/emulator/walkthrough.sh http://127.0.0.1:8443 emulator-client emulator-secret
#
# With TLS, the file that the emulator names as the certificate to trust is the
# last argument.
set -eu

url=$1 client_id=$2 client_secret=$3 ca=${4:-}

# The text of a JSON field (the last, where there are several), escaped as it
# stands there.
field() { sed -nE 's/.*"'"$1"'":"(([^"\\]|\\.)*)".*/\1/p'; }
# The value of a parameter in the query of a URL.
parameter() { sed -nE 's/.*[?&]'"$1"'=([^&#]*).*/\1/p'; }
# A text as JSON holds it.
quoted() { sed 's/\\/\\\\/g; s/"/\\"/g'; }

http() { curl --silent --show-error --fail ${ca:+--cacert "$ca"} "$@"; }
get() { http -H "Authorization: Bearer $token" "$url$1"; }
post() {
    http -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
        --data "$2" "$url$1"
}
# POST without a body.
start() { http -X POST -H "Authorization: Bearer $token" "$url$1"; }

must() {
    case $1 in
    *"$2"*) echo "$3" ;;
    *) echo "not $3: $1" >&2 && exit 1 ;;
    esac
}

# --- the backend gets its token -------------------------------------------
token=$(http "$url/connect/token" --data grant_type=client_credentials \
    --data-urlencode "client_id=$client_id" \
    --data-urlencode "client_secret=$client_secret" | field access_token)

# --- a phone ---------------------------------------------------------------
started=$(post /v4/users/registrations/authenticator/start '{"username": "grace"}')
registration=$(echo "$started" | field registration_id)
proof=$(echo "$started" | field registration_validation_token)

# Person: scans the QR code, and the app does the rest.
post /_emulator/scan "{\"qr_code_data\": \"$(echo "$started" | field qr_code_data)\"}" >/dev/null

must "$(get "/v4/users/registrations/$registration")" \
    '"registration_status_code":8' 'phone enrolled'
user=$(post "/v4/users/registrations/authenticator/$registration/validate" \
    "{\"registration_validation_token\": \"$proof\"}" | field user_id)
must "$(get "/v4/users/$user")" '"AuthArmorAuthenticator"' 'phone registered'

started=$(post /v4/auth/authenticator/start \
    '{"username": "grace", "send_push": true, "action_name": "Login", "short_msg": "Hello"}')
request=$(echo "$started" | field auth_request_id)
proof=$(echo "$started" | field auth_validation_token)

# Person: taps "approve".
post /_emulator/approve "{\"auth_request_id\": \"$request\"}" >/dev/null

must "$(get "/v4/auth/$request")" '"auth_request_status_id":4' 'approved on the phone'
must "$(post /v4/auth/authenticator/validate \
    "{\"auth_request_id\": \"$request\", \"auth_validation_token\": \"$proof\"}")" \
    '"authorized":true' 'signed in by phone'

# --- a passkey -------------------------------------------------------------
started=$(post "/v4/users/$user/registrations/webauthn/start" '{}')
registration=$(echo "$started" | field registration_id)
signature=$(echo "$started" | field aa_sig)

# Browser: makes a passkey. The options are passed on unchanged.
options=$(printf '%s\n' "$started" | field fido2_json_options)
made=$(post /_emulator/passkeys/create "{\"options\": \"$options\"}")

proof=$(post "/v4/users/$user/registrations/webauthn/$registration/finish" "{
    \"aa_sig\": \"$signature\",
    \"authenticator_response_data\": {
        \"id\": \"$(echo "$made" | field id)\",
        \"attestation_object\": \"$(echo "$made" | field attestation_object)\",
        \"client_data\": \"$(echo "$made" | field client_data)\"
    }
}" | field registration_validation_token)
post "/v4/users/registrations/webauthn/$registration/validate" \
    "{\"registration_validation_token\": \"$proof\"}" >/dev/null
must "$(get "/v4/users/$user")" '"WebAuthN"' 'passkey registered'

started=$(post /v4/auth/webauthn/start '{"username": "grace"}')
request=$(echo "$started" | field auth_request_id)
signature=$(echo "$started" | field aa_guid)

# Browser: uses the passkey.
options=$(printf '%s\n' "$started" | field fido2_json_options)
used=$(post /_emulator/passkeys/get "{\"options\": \"$options\"}" | quoted)

proof=$(post /v4/auth/webauthn/finish "{
    \"auth_request_id\": \"$request\",
    \"aa_sig\": \"$signature\",
    \"authenticator_response_data\": \"$used\"
}" | field auth_validation_token)
must "$(post /v4/auth/webauthn/validate \
    "{\"auth_request_id\": \"$request\", \"auth_validation_token\": \"$proof\"}")" \
    '"authorized":true' 'signed in by passkey'

# --- a mail ----------------------------------------------------------------
# Browser: opens the link of the newest mail and lands on our page.
land() {
    link=$(http "$url/_emulator/outbox" | field link)
    http --output /dev/null --write-out '%{redirect_url}\n' "$link"
}

post "/v4/users/$user/registrations/magiclink_email/start" '{
    "email_address": "grace@example.com",
    "registration_redirect_url": "https://app.example/registered"
}' >/dev/null
landed=$(land)
registration=$(echo "$landed" | parameter registration_id)
proof=$(echo "$landed" | parameter registration_validation_token)
post "/v4/users/registrations/magiclink_email/$registration/validate" \
    "{\"registration_validation_token\": \"$proof\"}" >/dev/null
must "$(get "/v4/users/$user")" '"Magiclink_Email"' 'mail registered'

post /v4/auth/magiclink_email/start '{
    "username": "grace",
    "auth_redirect_url": "https://app.example/signed-in?from=mail"
}' >/dev/null
landed=$(land)
request=$(echo "$landed" | parameter auth_request_id)
proof=$(echo "$landed" | parameter auth_validation_token)
must "$(post /v4/auth/magiclink_email/validate \
    "{\"auth_request_id\": \"$request\", \"auth_validation_token\": \"$proof\"}")" \
    '"authorized":true' 'signed in by mail'

# --- and what the backend may want to do about it ---------------------------
credential=$(get "/v4/users/$user/credentials/authenticator" | field credential_id)
must "$(start "/v4/users/$user/credentials/$credential/disable")" \
    '"enabled":false' 'phone disabled'
must "$(get "/v4/users/$user/auth_history")" '"total_record_count":3' 'all of it in the history'
