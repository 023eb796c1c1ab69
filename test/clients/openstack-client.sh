#!/usr/bin/env bash
# The stock OpenStack client against Octavia: test/clients/openstack-client.sh [STATE]
#
# Makes load balancers with an IPv4 and an IPv6 VIP, sends requests through them, kills a member and starts it again, and deletes it all;
# the other commands are in openstack-commands.sh. Each command is printed with what it printed. With STATE, the state folder of
# controllers that run (npm start), it uses those; without, it starts some of its own and destroys them. Ends with 77 when the client is
# not installed (Debian: apt-get install --no-install-recommends python3-openstackclient python3-octaviaclient).
source "$(dirname "$0")/support/client.bash"

ask_many() { local names=''; for _ in $(seq "$2"); do names="$names $(ask "$1")"; done; printf %s "${names# }"; }
# Waits up to ten seconds until both members answer.
until_both() {
  local names
  for _ in $(seq 100); do
    names=$(ask_many "$1" 4)
    case $names in 'blue green blue green' | 'green blue green blue') return ;; esac
    sleep 0.1
  done
  fail "$1 does not alternate: $names"
}

# --- the stories -----------------------------------------------------------------------------------------------------

delay=1 timeout=1 max_retries_down=2
bound=$((delay * max_retries_down + timeout + 1))

# make NAME SUBNET PORT: everything with --wait, as a user does it.
make() {
  local lb=$1 subnet=$2 port=$3
  gateway=$(value gateway_ip subnet show "$subnet")
  start_member blue "$gateway" "$port"
  blue=$started
  start_member green "$gateway" "$((port + 1))"
  os loadbalancer create --name "$lb" --vip-subnet-id "$subnet" --wait
  os loadbalancer listener create --name "$lb-http" --protocol HTTP --protocol-port 80 --wait "$lb"
  os loadbalancer pool create --name "$lb-pool" --protocol HTTP --lb-algorithm ROUND_ROBIN --listener "$lb-http" --wait
  os loadbalancer member create --name blue --address "$gateway" --protocol-port "$port" --wait "$lb-pool"
  os loadbalancer member create --name green --address "$gateway" --protocol-port "$((port + 1))" --wait "$lb-pool"
  os loadbalancer healthmonitor create --name "$lb-monitor" --type HTTP --delay $delay --timeout $timeout --max-retries 1 \
    --max-retries-down $max_retries_down --url-path / --wait "$lb-pool"
  vip=$(value vip_address loadbalancer show "$lb")
  until_both "$vip"
  say "8 requests to http://$(bracketed "$vip")/: $(ask_many "$vip" 8)"
}

# die NAME PORT: the blue member dies and comes back.
die() {
  local lb=$1 port=$2 names status begun
  say "kill -9 of the blue member; all requests must go to the other within $bound s"
  kill -9 "$blue"
  begun=$(date +%s%N)
  local lost=0 count=0
  while [ $((($(date +%s%N) - begun) / 1000000)) -lt $((bound * 1000)) ]; do
    [ "$(ask "$vip")" = green ] || lost=$((lost + 1))
    count=$((count + 1))
    sleep 0.1
  done
  names=$(ask_many "$vip" 20)
  say "$lost of $count requests failed meanwhile; then: $names"
  [ -z "$(printf %s "$names" | tr ' ' '\n' | grep -vx green)" ] || fail 'not all requests go to the green member'
  os loadbalancer member list "$lb-pool"
  status=$(value operating_status loadbalancer member show "$lb-pool" blue)
  [ "$status" = ERROR ] || fail "the client shows $status for the dead member"
  say 'the blue member is started again'
  start_member blue "$gateway" "$port"
  until_both "$vip"
  say "8 requests: $(ask_many "$vip" 8)"
  # A heartbeat a second tells the API what HAProxy knows already.
  for _ in $(seq 30); do
    status=$(value operating_status loadbalancer member show "$lb-pool" blue)
    [ "$status" != ONLINE ] || break
    sleep 0.1
  done
  [ "$status" = ONLINE ] || fail "the client shows $status for the member that is back"
}

remove() {
  local lb=$1
  os loadbalancer delete --cascade --wait "$lb"
  [ -z "$(value name loadbalancer list --name "$lb")" ] || fail "$lb is still listed"
  [ "$(ask "$vip")" = failed ] || fail "$vip still answers"
}

use_client
use_controllers "$@"

run=client-$$
port=$((20000 + RANDOM % 10000))
begun=$SECONDS
if [ -n "$(value ID subnet list --name private-subnet-v6)" ]; then
  # Beside the other; what it says is printed at the end.
  (
    trap 'kill "${members[@]}" 2>/dev/null || :' EXIT
    make "$run-6" private-subnet-v6 "$port" && die "$run-6" "$port" && remove "$run-6"
  ) >"$work/six" 2>&1 &
  six=$!
else
  six='' && say 'no IPv6 on this machine: only IPv4'
fi
make "$run-4" private-subnet "$((port + 2))"
die "$run-4" "$((port + 2))"
[ "$(value total_connections loadbalancer stats show "$run-4")" -ge 20 ] || fail 'the statistics do not count'
remove "$run-4"
if [ -n "$six" ]; then
  say 'meanwhile, with IPv6:'
  wait "$six" || { cat "$work/six"; fail 'the story with IPv6'; }
  cat "$work/six"
fi
say "all went well, in $((SECONDS - begun)) seconds"
