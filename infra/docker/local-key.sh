#!/bin/sh
# Makes the local admin key that both APIs take, unless the one in $1 still opens both: run again, it changes nothing.
# For local use: elsewhere keys are made by people (`create-key`), and nothing keeps them in plain text.
set -eu
umask 077

file=$1

opens_both() {
    [ -s "$file" ] || return 1
    id=$(cut -d _ -f 2 "$file")
    risk-assessment list-keys | grep -q "^$id .* valid " && debt-processing list-keys | grep -q "^$id .* valid "
}

if opens_both; then
    echo "the local admin key is as it was"
    exit 0
fi

name=local-$(date +%Y%m%d-%H%M%S)
risk-assessment create-key --name "$name" --role admin > "$file.new"
debt-processing create-key --name "$name" --role admin --stdin < "$file.new"
mv "$file.new" "$file"
echo "made the local admin key $name"
