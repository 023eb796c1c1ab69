#!/usr/bin/env bash
# The commands of openstack-commands.sh with the newest python-openstackclient and its plug-ins: test/clients/newest-commands.sh [STATE];
# `node tools/newest-clients.ts` brings them.
source "$(dirname "$0")/support/client.bash"
find_newest newest-clients newest/clients.txt newest/collection.txt
OCTAVIA_CLIENT_PYTHON=$newest/bin/python bash "$root/test/clients/openstack-commands.sh" "$@"
