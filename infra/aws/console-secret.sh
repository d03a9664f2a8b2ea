#!/bin/sh
# Puts a secret of the console where its tasks find it when they start, without showing it.
#
#   sh console-secret.sh session               a new one, drawn here: it seals sessions, so everybody signs in again
#   sh console-secret.sh oidc-client < FILE    the one that the issuer gave to the console's client
#
# Then restart the tasks of the console: see README.md. Run beside the Terraform state, with aws and jq.
set -eu

which=${1:-}
case $which in
session) SECRET=$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n') ;;
oidc-client) SECRET=$(cat) ;;
*)
    echo "say session or oidc-client: see the head of this file" >&2
    exit 2
    ;;
esac
[ -n "$SECRET" ] || { echo "there is no secret on standard input" >&2; exit 1; }
name=$(terraform output -json console_secrets | jq --exit-status --raw-output --arg which "$which" '.[$which]')

# By the environment and standard input: arguments can be read by every user of the machine.
export SECRET
jq --null-input --arg name "$name" '{SecretId: $name, SecretString: env.SECRET}' |
    aws secretsmanager put-secret-value --cli-input-json file:///dev/stdin --query VersionId --output text
