#!/bin/sh
# Gives a service's database a new password and keeps the whole URL in the service's secret, without showing it.
#
#   sh database-password.sh risk     then run the task prepare-risk, then restart the service's tasks: see README.md
#
# Run beside the Terraform state, with aws and jq. Running tasks keep the connections they have until they are restarted.
set -eu

service=$1
urls=$(terraform output -json database_urls | jq --exit-status --arg service "$service" '.[$service]')
PASSWORD=$(aws secretsmanager get-random-password --password-length 40 --exclude-punctuation --query RandomPassword --output text)

# By the environment and standard input: arguments can be read by every user of the machine.
export PASSWORD
jq --null-input --argjson urls "$urls" \
    '{SecretId: $urls.secret, SecretString: ($urls.before + env.PASSWORD + $urls.after)}' |
    aws secretsmanager put-secret-value --cli-input-json file:///dev/stdin --query VersionId --output text
