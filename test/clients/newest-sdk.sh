#!/usr/bin/env bash
# Every load-balancer method of the newest openstacksdk: test/clients/newest-sdk.sh [STATE]; `node tools/newest-clients.ts` brings it.
source "$(dirname "$0")/support/client.bash"
find_newest newest-clients newest/clients.txt newest/collection.txt
python=$newest/bin/python
use_controllers "$@"
make_certificate web
"$python" "$root/test/clients/support/newest/sdk.py" "$work/web.p12"
