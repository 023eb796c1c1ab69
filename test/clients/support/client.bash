# What the scripts of test/clients share; source it first. It sets $root and $work, and everything that was started ends with the script.
#
#   use_client [PYTHON]     the `openstack` of that interpreter (Debian's unless given), loaded once: each command takes 0.2 s, not 1 s
#   use_controllers [STATE] controllers that run on a state folder, or some of its own, destroyed at the end
#   find_newest NAME PIN…   what tools/newest-clients.ts has brought
#   os, value, later, gather, refused, settle      commands and what they print
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
work=$(mktemp -d)
state=''
base=''
controllers=''
client=''
members=()

fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }
skip() { echo "$*"; exit 77; }
say() { printf '\n# %s\n' "$*"; }

clean() {
  local code=$?
  trap - EXIT
  kill ${client:+"$client"} "${members[@]}" $(jobs -p) 2>/dev/null || :
  if [ -n "$controllers" ]; then
    kill -9 "$controllers" 2>/dev/null && wait "$controllers" 2>/dev/null || :
    [ "$code" = 0 ] || tail -n 30 "$work/controllers" >&2
    OCTAVIA_STATE_DIR=$state "$root/node_modules/.bin/node" "$root/src/main/destroy.ts" || code=1
  fi
  rm -rf "$work"
  exit "$code"
}
trap clean EXIT

# The interpreter of the installed client; nothing when it, or its load-balancer plug-in, is not installed.
installed_python() {
  local command python
  command=$(type -P openstack) || return 0
  python=$(sed -n '1s/^#! *\(\/[^ ]*python[^ ]*\).*/\1/p' "$command")
  if [ -n "$python" ] && "$python" -c 'import openstackclient, octaviaclient' 2>/dev/null; then echo "$python"; fi
}

use_client() {
  python=${1-$(installed_python)}
  [ -n "$python" ] || skip 'the openstack client with its load-balancer plug-in is not installed'
  mkfifo "$work/client.in"
  "$python" "$root/test/clients/support/quick-client.py" serve "$work/client" <"$work/client.in" &
  client=$!
  # The server ends when nobody has this open any more, however the script ends.
  exec 9>"$work/client.in"
  for _ in $(seq 300); do
    [ ! -S "$work/client" ] || return 0
    kill -0 "$client" 2>/dev/null || fail 'the client did not load'
    sleep 0.05
  done
  fail 'the client is not loaded after 15 seconds'
}

# find_newest NAME PIN…: a folder that tools/newest-clients.ts made of exactly these files of this folder; it is in $newest.
find_newest() {
  newest=${XDG_CACHE_HOME:-$HOME/.cache}/octavia-test/$1
  shift
  (cd "$root/test/clients/support" && cat "$@") | cmp -s - "$newest/pins" ||
    skip 'the newest clients are not here: `node tools/newest-clients.ts` brings them, or says why not'
}

# make_certificate NAME: $work/NAME.p12, a certificate with its key
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
  openssl pkcs12 -export -inkey "$work/$1.key" -in "$work/$1.pem" -passout pass: -out "$work/$1.p12"
}

openstack() { "$python" -I -S "$root/test/clients/support/quick-client.py" ask "$work/client" "$@"; }

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

use_controllers() {
  local port
  state=${1-}
  if [ -z "$state" ]; then
    [ "$(id -u)" = 0 ] || skip 'not root: controllers with amphorae on this machine cannot be started'
    port=$(free_port)
    state=$work/state
    OCTAVIA_STATE_DIR=$state OCTAVIA_BIND=127.0.0.1:$port OCTAVIA_CONFIG='' \
      "$root/node_modules/.bin/node" "$root/src/main/all.ts" >"$work/controllers" 2>&1 9>&- &
    controllers=$!
    for _ in $(seq 300); do
      if curl -fsS -o /dev/null "http://127.0.0.1:$port/healthcheck" 2>/dev/null; then port=''; break; fi
      kill -0 "$controllers" 2>/dev/null || fail 'the controllers ended'
      sleep 0.1
    done
    [ -z "$port" ] || fail 'the controllers are not ready after 30 seconds'
  fi
  export OS_CLIENT_CONFIG_FILE=$state/clouds.yaml OS_CLOUD=octavia
  unset OS_TOKEN OS_AUTH_URL OS_USERNAME OS_PASSWORD OS_PROJECT_NAME
  base=$(sed -n 's,^ *auth_url: *\(.*\)/identity/v3$,\1,p' "$state/clouds.yaml" | head -1)
  say "OS_CLIENT_CONFIG_FILE=$OS_CLIENT_CONFIG_FILE OS_CLOUD=$OS_CLOUD"
}

# --- the client ------------------------------------------------------------------------------------------------------

os() { printf '%s\n' "$*" >>"$work/asked"; printf '\n$ openstack %s\n' "$*"; openstack "$@"; }
# As the administrator.
admin() { OS_CLOUD=octavia-admin os "$@"; }
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

# refused WORDS COMMAND…: it must fail, and say that.
refused() {
  local words=$1 said
  shift
  if said=$(os "$@" 2>&1); then printf '%s\n' "$said"; fail "not refused: openstack $*"; fi
  printf '%s\n' "$said"
  grep -qiE -- "$words" <<<"$said" || fail "refused with other words: openstack $*"
}

# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || fail "$1 is '$2' and should be '$3'"; }

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
  "$python" -c "$member_program" "$@" 2>/dev/null 9>&- &
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
ask() { curl -fsS --max-time 2 "http://$(bracketed "$1")/${2-}" 2>/dev/null || printf failed; }
# Waits up to ten seconds until a request is answered by that member.
until_answer() {
  local got
  for _ in $(seq 100); do
    got=$(ask "$1" "${3-}")
    [ "$got" != "$2" ] || return 0
    sleep 0.1
  done
  fail "http://$1/${3-} answers $got and not $2"
}
