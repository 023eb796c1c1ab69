#!/usr/bin/env bash
# gophercloud, which Terraform and the Kubernetes controllers are built on, against Octavia.
#
#   test/clients/gophercloud.sh build FOLDER                    builds the program (two minutes; needs go, and fetches the module)
#   OCTAVIA_GOPHERCLOUD=FOLDER test/clients/gophercloud.sh [STATE]   runs it
#
# Not built by itself: tests run in a network of their own, from where there is no module proxy, and compiling takes minutes.
if [ "${1-}" = build ]; then
  cd "$(dirname "$0")/support/gophercloud" || exit 1
  exec go build -o "$2/client" .
fi
[ -n "${OCTAVIA_GOPHERCLOUD-}" ] && [ -x "$OCTAVIA_GOPHERCLOUD/client" ] || {
  echo 'gophercloud is not asked for (OCTAVIA_GOPHERCLOUD)'
  exit 77
}
source "$(dirname "$0")/support/client.bash"
python=python3
use_controllers "$@"
"$OCTAVIA_GOPHERCLOUD/client" "$base/identity/v3" demo "$(cat "$state/demo.password")" demo
