#!/bin/sh
# Log docker in to the registry that holds an ECR repository, and print the repository's address: registry.sh REPOSITORY
set -eu

repository=${1:?the name of an ECR repository}
address=$(aws ecr describe-repositories --repository-names "$repository" --query 'repositories[0].repositoryUri' --output text)
password=$(aws ecr get-login-password)
printf '%s' "$password" | docker login --username AWS --password-stdin "${address%%/*}" >&2
echo "$address"
