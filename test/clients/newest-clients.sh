#!/usr/bin/env bash
# The newest clients of PyPI against Octavia: python-openstackclient with python-octaviaclient, openstacksdk, and Ansible's openstack.cloud.
#
#   test/clients/newest-clients.sh install FOLDER                        installs them (three minutes, 440 MB)
#   OCTAVIA_NEWEST_CLIENTS=FOLDER test/clients/newest-clients.sh [STATE] runs them
#
# Not installed by itself: tests run in a network of their own, from where there is no PyPI.
if [ "${1-}" = install ]; then
  set -euo pipefail
  python3 -m venv "$2"
  "$2/bin/pip" install --quiet --no-compile python-openstackclient python-octaviaclient openstacksdk ansible
  # The collection that comes with Ansible reads openstack.version, which newer openstacksdks have not: its modules get an older one.
  exec "$2/bin/pip" install --quiet --no-compile --no-deps --target "$2/for-ansible" 'openstacksdk<4.10' pbr setuptools requestsexceptions
fi
[ -n "${OCTAVIA_NEWEST_CLIENTS-}" ] && [ -x "$OCTAVIA_NEWEST_CLIENTS/bin/openstack" ] || {
  echo 'the newest clients are not asked for (OCTAVIA_NEWEST_CLIENTS)'
  exit 77
}
source "$(dirname "$0")/support/client.bash"
use_client "$OCTAVIA_NEWEST_CLIENTS/bin/python"
use_controllers "$@"
begun=$SECONDS

say 'openstacksdk'
"$python" "$root/test/clients/support/newest-sdk.py"

say 'python-openstackclient, every command'
OCTAVIA_CLIENT_PYTHON=$python bash "$root/test/clients/openstack-commands.sh" "$state"

say 'Ansible'
export ANSIBLE_HOME=$work/ansible ANSIBLE_LOCALHOST_WARNING=False ANSIBLE_INVENTORY_UNPARSED_WARNING=False
play() { PYTHONPATH=$OCTAVIA_NEWEST_CLIENTS/for-ansible PYTHONWARNINGS=ignore "$OCTAVIA_NEWEST_CLIENTS/bin/ansible-playbook" -e "ansible_python_interpreter=$python state=$1" "$root/test/clients/support/load-balancer.yml"; }
play present
play present | tee "$work/again"
grep -qE 'changed=0 .*failed=0' "$work/again" || fail 'the same again was a change'
openstack loadbalancer status show ansible
openstack floating ip list
play absent
same 'what is left' "$(value Name loadbalancer list)" ''
same 'addresses that are left' "$(value ID floating ip list)" ''
say "all went well, in $((SECONDS - begun)) seconds"
