#!/usr/bin/env bash
# Ansible's load-balancer modules (the newest openstack.cloud with the newest openstacksdk): test/clients/newest-ansible.sh [STATE];
# `node tools/newest-clients.ts` brings them.
source "$(dirname "$0")/support/client.bash"
find_newest newest-clients newest/clients.txt newest/collection.txt
python=$newest/bin/python
use_controllers "$@"
export ANSIBLE_HOME=$work/ansible ANSIBLE_COLLECTIONS_PATH=$newest/collections ANSIBLE_LOCALHOST_WARNING=False
export ANSIBLE_PIPELINING=True ANSIBLE_INVENTORY_UNPARSED_WARNING=False ANSIBLE_PYTHON_INTERPRETER=$python
"$python" -m ansible playbook -e "auth_url=$base/identity/v3" "$root/test/clients/support/newest/ansible/story.yml"
