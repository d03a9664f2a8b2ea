#!/bin/sh
# Makes and changes the keys with which messages are authenticated, without showing them. The first signs, all verify.
#
#   sh message-keys.sh add     a new key, at the end: it verifies and does not sign yet (the very first one does both)
#   sh message-keys.sh use     the newest key signs; the older ones still verify
#   sh message-keys.sh drop    only the key that signs is left
#
# Restart the tasks after each, before the next: a process refuses what a key signed that it does not know. See README.md.
# Run beside the Terraform state, with aws and jq.
set -eu

secret=$(terraform output -raw message_keys)

read_keys() {
    aws secretsmanager get-secret-value --secret-id "$secret" --query SecretString --output text
}

# Only a secret that was never written has no keys: anything else that fails must not be taken for that.
if ! KEYS=$(read_keys 2>/dev/null); then
    KEYS=
    error=$(read_keys 2>&1 >/dev/null) || true
    case $error in *ResourceNotFoundException*) ;; *) echo "the keys cannot be read: $error" >&2; exit 1 ;; esac
fi

[ -n "$KEYS" ] || [ "${1:-}" = add ] || { echo "there is no key yet: say add" >&2; exit 1; }
case ${1:-} in
# A key's id is the second in which it was made, so that the newest is known.
add) KEYS=${KEYS:+$KEYS,}$(date -u +%Y%m%d%H%M%S):$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n') ;;
use)
    newest=${KEYS##*,}
    [ "${newest%%:*}" -gt "${KEYS%%:*}" ] || { echo "the newest key signs already" >&2; exit 1; }
    KEYS=$newest,${KEYS%,*}
    ;;
drop) KEYS=${KEYS%%,*} ;;
*)
    echo "say add, use or drop: see the head of this file" >&2
    exit 2
    ;;
esac

# By the environment and standard input: arguments can be read by every user of the machine.
export KEYS
jq --null-input --arg secret "$secret" '{SecretId: $secret, SecretString: env.KEYS}' |
    aws secretsmanager put-secret-value --cli-input-json file:///dev/stdin --query VersionId --output text
