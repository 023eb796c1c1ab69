#!/usr/bin/env bash
# gophercloud, which Terraform and the Kubernetes controllers are built on, against Octavia: test/clients/gophercloud.sh [STATE];
# `node tools/newest-clients.ts` builds the program.
source "$(dirname "$0")/support/client.bash"
find_newest gophercloud gophercloud/go.sum gophercloud/go.mod gophercloud/main.go
python=python3
use_controllers "$@"
"$newest/client" "$base/identity/v3" "$(cat "$state/demo.password")" "$(cat "$state/admin.password")"
