#!/usr/bin/env bash
# The stock OpenStack client against Octavia: test/clients/openstack-client.sh [STATE]
#
# Makes load balancers with an IPv4 and an IPv6 VIP, sends requests through them, kills a member and starts it again, looks at
# everything the client can show, and deletes it all. Each command is printed with what it printed. With STATE, the state folder of
# controllers that run (npm start), it uses those; without, it starts some of its own and destroys them. Ends with 77 when the client is
# not installed (Debian: apt-get install --no-install-recommends python3-openstackclient python3-octaviaclient).
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
state=${1-}
controllers=''
members=()

fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }
say() { printf '\n# %s\n' "$*"; }

# Everything that was started ends with the script.
clean() {
  local code=$?
  trap - EXIT
  kill "${members[@]}" $(jobs -p) 2>/dev/null || :
  if [ -n "$controllers" ]; then
    kill -9 "$controllers" 2>/dev/null && wait "$controllers" 2>/dev/null || :
    [ "$code" = 0 ] || tail -n 30 "$work/controllers" >&2
    OCTAVIA_STATE_DIR=$state "$root/node_modules/.bin/node" "$root/src/main/destroy.ts" || code=1
  fi
  rm -rf "$work"
  exit "$code"
}
trap clean EXIT

command -v openstack >/dev/null && openstack loadbalancer --help >/dev/null 2>&1 || {
  echo 'the openstack client with its load-balancer plug-in is not installed'
  exit 77
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_controllers() {
  local port
  [ "$(id -u)" = 0 ] || { echo 'not root: controllers with amphorae on this machine cannot be started'; exit 77; }
  port=$(free_port)
  state=$work/state
  OCTAVIA_STATE_DIR=$state OCTAVIA_BIND=127.0.0.1:$port OCTAVIA_CONFIG='' \
    "$root/node_modules/.bin/node" "$root/src/main/all.ts" >"$work/controllers" 2>&1 &
  controllers=$!
  for _ in $(seq 300); do
    if curl -fsS -o /dev/null "http://127.0.0.1:$port/healthcheck" 2>/dev/null; then return; fi
    kill -0 "$controllers" 2>/dev/null || fail 'the controllers ended'
    sleep 0.1
  done
  fail 'the controllers are not ready after 30 seconds'
}

# --- the client ------------------------------------------------------------------------------------------------------

os() { printf '\n$ openstack %s\n' "$*"; openstack "$@"; }
# One value, without telling.
value() { local column=$1; shift; openstack "$@" -f value -c "$column"; }

# Commands that only look run side by side, two or three at a time is what two processors take; `gather` prints them in order.
pending=()
later() {
  local file
  file=$(mktemp -p "$work")
  os "$@" >"$file" 2>&1 &
  pending+=("$! $file $*")
}
gather() {
  local each pid file rest failed=''
  for each in "${pending[@]}"; do
    read -r pid file rest <<<"$each"
    wait "$pid" || failed="$failed; openstack $rest"
    cat "$file"
  done
  pending=()
  [ -z "$failed" ] || fail "${failed#; }"
}

# --- members and requests --------------------------------------------------------------------------------------------

member_program='
import http.server, socket, sys
name, address, port = sys.argv[1:]
class Member(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name.encode())
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
Server((address, int(port)), Member).serve_forever()
'
# start_member NAME ADDRESS PORT: its process id is in $started.
start_member() {
  # Health checks hang up before the answer is read: not worth a word.
  python3 -c "$member_program" "$@" 2>/dev/null &
  started=$!
  members+=("$started")
  for _ in $(seq 100); do
    if curl -fsS -o /dev/null --max-time 1 "http://$(bracketed "$2"):$3/" 2>/dev/null; then return; fi
    sleep 0.05
  done
  fail "member $1 does not listen on $2 port $3"
}

bracketed() { case $1 in *:*) printf '[%s]' "$1" ;; *) printf %s "$1" ;; esac; }
# One request; "failed" for what is no answer.
ask() { curl -fsS --max-time 2 "http://$(bracketed "$1")/" 2>/dev/null || printf failed; }
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
  status=$(value operating_status loadbalancer member show "$lb-pool" blue)
  [ "$status" = ONLINE ] || fail "the client shows $status for the member that is back"
}

# Every list and show, and what is set and unset.
look() {
  local lb=$1 project
  project=$(value project_id loadbalancer show "$lb")
  later loadbalancer list
  later loadbalancer listener list
  later loadbalancer pool list
  later loadbalancer member list "$lb-pool"
  later loadbalancer healthmonitor list
  later loadbalancer provider list
  later loadbalancer status show "$lb"
  later loadbalancer stats show "$lb"
  gather
  later loadbalancer show "$lb"
  later loadbalancer listener show "$lb-http"
  later loadbalancer listener stats show "$lb-http"
  later loadbalancer pool show "$lb-pool"
  later loadbalancer member show "$lb-pool" green
  later loadbalancer healthmonitor show "$lb-monitor"
  later loadbalancer quota show "$project"
  later --os-cloud octavia-admin loadbalancer provider capability list amphora
  gather
  [ "$(openstack loadbalancer stats show "$lb" -f value -c total_connections)" -ge 20 ] || fail 'the statistics do not count'
}

alter() {
  local lb=$1
  os loadbalancer set --description 'of the stock client' --tag one --tag two "$lb"
  os loadbalancer listener set --connection-limit 500 --timeout-client-data 60000 "$lb-http"
  os loadbalancer pool set --lb-algorithm LEAST_CONNECTIONS --description least "$lb-pool"
  os loadbalancer member set --weight 5 "$lb-pool" green
  os loadbalancer healthmonitor set --max-retries 2 "$lb-monitor"
  [ "$(value connection_limit loadbalancer listener show "$lb-http")" = 500 ] || fail 'the listener was not changed'
  [ "$(value weight loadbalancer member show "$lb-pool" green)" = 5 ] || fail 'the member was not changed'
  os loadbalancer unset --description --tag two "$lb"
  os loadbalancer listener unset --connection-limit --timeout-client-data "$lb-http"
  os loadbalancer pool unset --description "$lb-pool"
  os loadbalancer member unset --weight "$lb-pool" green
  os loadbalancer healthmonitor unset --max-retries-down "$lb-monitor"
  [ "$(value weight loadbalancer member show "$lb-pool" green)" = 1 ] || fail 'the member was not changed back'
  [ "$(value tags loadbalancer show "$lb")" = one ] || fail 'the tags were not changed'
}

remove() {
  local lb=$1
  os loadbalancer delete --cascade --wait "$lb"
  [ -z "$(value name loadbalancer list --name "$lb")" ] || fail "$lb is still listed"
  [ "$(ask "$vip")" = failed ] || fail "$vip still answers"
}

[ -n "$state" ] || start_controllers
export OS_CLIENT_CONFIG_FILE=$state/clouds.yaml OS_CLOUD=octavia
unset OS_TOKEN OS_AUTH_URL OS_USERNAME OS_PASSWORD OS_PROJECT_NAME
say "OS_CLIENT_CONFIG_FILE=$OS_CLIENT_CONFIG_FILE OS_CLOUD=$OS_CLOUD"

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
look "$run-4"
alter "$run-4"
remove "$run-4"
if [ -n "$six" ]; then
  say 'meanwhile, with IPv6:'
  wait "$six" || { cat "$work/six"; fail 'the story with IPv6'; }
  cat "$work/six"
fi
say "all went well, in $((SECONDS - begun)) seconds"
