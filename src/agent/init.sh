#!/bin/sh
# The init of an amphora: starts the agent, HAProxy, keepalived, the engine of datagrams and the executor of the traffic namespace as siblings and starts
# again whichever dies. HAProxy, keepalived and that engine run while a file in $wanted names their configuration. SIGUSR1: look again now.
: "${OCTAVIA_STATE_DIR:=/var/lib/octavia}" "${OCTAVIA_RUN_DIR:=/run/octavia}" "${OCTAVIA_TRAFFIC_NETNS:=/run/netns/amphora-haproxy}"
run=$OCTAVIA_RUN_DIR wanted=$OCTAVIA_STATE_DIR/wanted queue=$OCTAVIA_RUN_DIR/traffic

# Carries out, in the traffic namespace, what the agent asks for: the agent itself may not enter it. A request is a file
# ID.in and a line "ID ip" or "ID ip-force" in the pipe; the answer is ID.out, ID.err and at last ID.rc.
if [ "${1-}" = traffic ]; then
  cd "$queue" && exec 3<> requests || exit 1
  while read -r id kind <&3; do
    case $id in '' | *[!0-9a-f]*) continue ;; esac
    [ -e "$id.in" ] && [ ! -e "$id.rc" ] || continue
    force=''; [ "$kind" = ip ] || force=-force
    ip -json $force -batch "$id.in" > "$id.out" 2> "$id.err" 3<&-
    echo $? > "$id.rc"
  done
  exit 1
fi

reduced() { keep=$1; shift; exec setpriv --no-new-privs --inh-caps=-all --bounding-set="-all$keep" "$@"; }
in_traffic() { keep=$1; shift; exec nsenter --net="$OCTAVIA_TRAFFIC_NETNS" setpriv --no-new-privs --inh-caps=-all --bounding-set="-all$keep" "$@"; }
start() {
  [ "$1" = haproxy ] || exec 3>&-
  case $1 in
    tick) exec sleep 5 ;;
    # One arena, no pool of compilers, a small young generation: 3 MB less; it starts no slower.
    agent) MALLOC_ARENA_MAX=1 reduced ,+net_admin "$OCTAVIA_NODE" --expose-gc --max-semi-space-size=1 --v8-pool-size=0 "$OCTAVIA_AGENT" ;;
    traffic) in_traffic ,+net_admin,+net_raw sh "$0" traffic ;;
    haproxy) in_traffic ,+net_bind_service,+setuid,+setgid,+kill haproxy -W -S "$run/master.sock" -f "$2" 2>> "$run/haproxy.log" ;;
    datagram) MALLOC_ARENA_MAX=1 in_traffic ,+net_admin "$OCTAVIA_NODE" --max-semi-space-size=1 --v8-pool-size=0 "$OCTAVIA_AGENT" datagram "$2" "$run/datagram.json" 2>> "$run/datagram.log" ;;
    keepalived) in_traffic ,+net_admin,+net_raw,+setuid,+setgid,+kill keepalived -n -l -f "$2" -p "$run/vrrp.main.pid" -r "$run/vrrp.pid" >> "$run/keepalived.log" 2>&1 ;;
  esac
}
# A process that is dead but not yet waited for still has an entry in /proc: its state tells.
alive() { [ -n "$1" ] && read -r _ _ state _ 2> /dev/null < "/proc/$1/stat" && [ "$state" != Z ]; }

mkdir -p "$run" "$wanted" && mkdir -p -m 700 "$queue" && for pipe in "$queue/requests" "$run/flow-logs.pipe"; do [ -p "$pipe" ] || mkfifo -m 600 "$pipe"; done || exit 1
# HAProxy writes a line for each connection to descriptor 3. Widened to hold those of some tenth of a second while the agent is busy.
exec 3<> "$run/flow-logs.pipe"
{ pipesz -s 1048576 -n 3 || perl -e 'fcntl(STDIN, 1031, 1048576)' <&3; } > /dev/null 2>&1 &
rm -f "$run"/*.sock "$queue"/*.*
# Announcements are switched on for all cards: one may have been plugged before this, and would not follow `default` any more.
nsenter --net="$OCTAVIA_TRAFFIC_NETNS" sh -c 'ip link set lo up; cd /proc/sys/net && for setting in "$@"; do
    [ ! -e "${setting%=*}" ] || echo "${setting#*=}" > "${setting%=*}"; done' sh ipv4/ip_nonlocal_bind=1 ipv6/ip_nonlocal_bind=1 \
  ipv4/conf/all/arp_notify=1 ipv6/conf/all/ndisc_notify=1 ipv4/neigh/default/retrans_time_ms=50 ipv6/neigh/default/retrans_time_ms=50 ipv4/neigh/default/mcast_solicit=60 ipv6/neigh/default/mcast_solicit=60 \
    ipv4/ping_group_range='0 2147483647' ipv6/conf/default/accept_ra=0 ipv6/conf/default/accept_redirects=0 \
  ipv4/conf/default/accept_redirects=0 ipv4/conf/all/accept_redirects=0 &
sysctls=$! stopping='' starts=0; trap 'stopping=1 woken=1' TERM INT; trap woken=1 USR1 CHLD
while [ -z "$stopping" ]; do
  woken=''
  for service in tick agent traffic haproxy keepalived datagram; do
    config=''; eval "pid=\${pid_$service-}"
    case $service in haproxy | keepalived | datagram) read -r config 2> /dev/null < "$wanted/$service" || continue; wait "$sysctls" ;; esac
    if alive "$pid"; then continue; fi
    # Eight starts in five seconds are at once, more are one a second: what cannot start must not eat the machine.
    if [ "$service" = tick ]; then starts=0; else starts=$((starts + 1)); [ "$starts" -le 8 ] || sleep 1; fi
    start "$service" "$config" &
    eval "pid_$service=$!"; [ "$service" = tick ] || { echo $! > "$run/$service.pid"; echo "$service is started as process $!" >> "$run/init.log"; }
  done
  # A death between the look above and the wait below is seen at the next tick.
  [ -n "$woken" ] || wait
done
trap '' TERM INT USR1 CHLD
kill ${pid_tick-} ${pid_agent-} ${pid_haproxy-} ${pid_keepalived-} ${pid_datagram-} ${pid_traffic-} 2> /dev/null
wait ${pid_agent-} ${pid_haproxy-} ${pid_keepalived-} 2> /dev/null
exit 0
