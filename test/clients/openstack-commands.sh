#!/usr/bin/env bash
# Every command of the stock OpenStack client that a user or operator of load balancers needs: test/clients/openstack-commands.sh [STATE]
#
# All of `openstack loadbalancer …`, which is checked against the client's own list of commands, and those for networks, subnets, ports,
# floating IPs, security groups, QoS, tokens, application credentials, projects, users and roles. Each is printed with what it printed.
# With STATE, the state folder of controllers that run (npm start), it uses those; without, it starts some of its own and destroys them.
# Ends with 77 when the client is not installed (Debian: apt-get install --no-install-recommends python3-openstackclient python3-octaviaclient).
source "$(dirname "$0")/support/client.bash"

# Waits until a load balancer is ACTIVE; commands that change something do not wait by themselves.
settle() {
  local status
  for _ in $(seq 100); do
    status=$(value provisioning_status loadbalancer show "$1")
    case $status in ACTIVE) return ;; ERROR) fail "$1 is in ERROR" ;; esac
    sleep 0.1
  done
  fail "$1 stays $status"
}
lb() { os loadbalancer "$@"; settle web; }

users_and_projects() {
  admin project create --description 'of this script' --tag one shop
  admin project set --description other --tag two shop
  admin user create --project shop --password first --email anna@example.org anna
  admin role add --project shop --user anna member
  admin role assignment list --project shop --user anna --names
  admin user set --password second --description d anna
  admin user list --project shop
  admin project show shop
  as_anna() {
    local password=$1 auth_url=$base/identity/v3
    shift
    env -u OS_CLOUD -u OS_CLIENT_CONFIG_FILE OS_AUTH_URL="$auth_url" OS_USERNAME=anna OS_PASSWORD="$password" OS_PROJECT_NAME=shop \
      OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default OS_IDENTITY_API_VERSION=3 \
      "$python" -I -S "$root/test/clients/support/quick-client.py" ask "$work/client" "$@"
  }
  same "anna's project" "$(as_anna second token issue -f value -c project_id)" "$(OS_CLOUD=octavia-admin value id project show shop)"
  if as_anna first token issue >/dev/null 2>&1; then fail 'the old password still works'; fi
  as_anna second user password set --original-password second --password third
  as_anna third loadbalancer list
  admin user set --disable anna
  if as_anna third token issue >/dev/null 2>&1; then fail 'a disabled user got a token'; fi
  admin role remove --project shop --user anna member
  admin user delete anna
  admin project delete shop
  admin role create auditor
  admin role delete auditor
  admin domain create --description d north
  admin domain set --disable north
  admin domain delete north
  refused 'always there' --os-cloud octavia-admin role delete member
}

tokens_and_credentials() {
  local token made rule
  token=$(value id token issue)
  os catalog list
  same 'a token by itself' "$(env -u OS_CLOUD -u OS_CLIENT_CONFIG_FILE OS_AUTH_TYPE=v3token OS_AUTH_URL="$base/identity/v3" OS_TOKEN="$token" \
    OS_PROJECT_NAME=demo OS_PROJECT_DOMAIN_NAME=Default "$python" -I -S "$root/test/clients/support/quick-client.py" ask "$work/client" \
    token issue -f value -c project_id)" "$(value project_id token issue)"
  os token revoke "$token"
  same 'a revoked token' "$(curl -s -o /dev/null -w '%{http_code}' -H "X-Auth-Token: $token" "$base/v2/lbaas/loadbalancers")" 401
  os application credential create --role reader --expiration 2099-01-01T00:00:00 --description d --secret of-ci ci
  made=$(value id application credential show ci)
  as_ci() {
    env -u OS_CLOUD -u OS_CLIENT_CONFIG_FILE OS_AUTH_TYPE=v3applicationcredential OS_AUTH_URL="$base/identity/v3" \
      OS_APPLICATION_CREDENTIAL_ID="$made" OS_APPLICATION_CREDENTIAL_SECRET=of-ci \
      "$python" -I -S "$root/test/clients/support/quick-client.py" ask "$work/client" "$@"
  }
  as_ci loadbalancer list
  if as_ci network create no >/dev/null 2>&1; then fail 'a reader made a network'; fi
  os application credential list
  os application credential delete ci
  if as_ci token issue >/dev/null 2>&1; then fail 'a deleted application credential got a token'; fi
  os application credential create --role member --secret of-ci ci \
    --access-rules '[{"service": "load-balancer", "method": "GET", "path": "/v2.0/lbaas/loadbalancers"}]'
  made=$(value id application credential show ci)
  as_ci loadbalancer list
  if as_ci loadbalancer listener list >/dev/null 2>&1; then fail 'listeners were listed against the access rules'; fi
  os access rule list
  rule=$(value ID access rule list)
  os access rule show "$rule"
  refused 'in use' access rule delete "$rule"
  os application credential delete ci
  os access rule delete "$rule"
}

networks() {
  os network create --description d --mtu 1400 --tag one own
  os network set --name mine --tag two own
  os subnet create --network mine --subnet-range 10.5.0.0/24 --dns-nameserver 9.9.9.9 --allocation-pool start=10.5.0.10,end=10.5.0.50 \
    --host-route destination=10.9.0.0/24,gateway=10.5.0.9 four
  os subnet set --name vier --no-dhcp four
  os subnet create --network mine --subnet-range fd00:5::/64 --ip-version 6 six
  os port create --network mine --fixed-ip subnet=vier,ip-address=10.5.0.20 --tag one one
  os port set --name eins --allowed-address ip-address=10.5.0.99 --description d one
  os port unset --allowed-address "ip-address=10.5.0.99,mac-address=$(value mac_address port show eins)" eins
  os security group create --description d web
  os security group rule create --protocol tcp --dst-port 80:81 --remote-ip 0.0.0.0/0 web
  os port set --security-group web eins
  for each in 'network list --long' 'network show mine' 'subnet list --long' 'subnet show vier' 'port list --network mine --long' \
    'port show eins' 'security group list' 'security group show default' 'security group rule list web' 'network list --external' \
    'router list' 'network agent list' 'ip availability list' 'extension list --network' 'availability zone list --network' \
    'subnet pool list' 'address scope list'; do later $each; done
  gather
  refused 'in use' security group delete web
  os port delete eins
  os security group rule delete "$(value ID security group rule list --ingress web)"
  os security group delete web
  os subnet delete vier six
  os network delete mine
}

load_balancer() {
  local gateway vip qos
  gateway=$(value gateway_ip subnet show private-subnet)
  port=$((20000 + RANDOM % 10000))
  start_member blue "$gateway" "$port"
  start_member green "$gateway" $((port + 1))
  os port create --network private --fixed-ip subnet=private-subnet vip
  vip=$("$python" -c 'import ast, sys; print(ast.literal_eval(sys.argv[1])[0]["ip_address"])' "$(value fixed_ips port show vip)")
  lb create --name web --vip-port-id vip --description d --tag one
  same 'the VIP' "$(value vip_address loadbalancer show web)" "$vip"
  lb listener create --name http --protocol HTTP --protocol-port 80 --insert-headers X-Forwarded-For=true --timeout-client-data 40000 web
  lb pool create --name blues --protocol HTTP --lb-algorithm ROUND_ROBIN --listener http --session-persistence type=SOURCE_IP
  lb pool create --name greens --protocol HTTP --lb-algorithm LEAST_CONNECTIONS --loadbalancer web
  lb member create --name blue --address "$gateway" --protocol-port "$port" --weight 2 blues
  lb member create --name green --address "$gateway" --protocol-port $((port + 1)) --subnet-id private-subnet greens
  lb healthmonitor create --name look --type HTTP --delay 1 --timeout 1 --max-retries 1 --url-path / blues
  until_answer "$vip" blue
  lb l7policy create --name to-green --action REDIRECT_TO_POOL --redirect-pool greens --position 1 http
  lb l7rule create --type PATH --compare-type STARTS_WITH --value /green to-green
  until_answer "$vip" green green
  until_answer "$vip" blue

  local rule
  rule=$(value id loadbalancer l7rule list to-green)
  for each in list 'show web' 'status show web' 'stats show web' 'listener list' 'listener show http' 'listener stats show http' 'pool list' \
    'pool show blues' 'member list blues' 'member show blues blue' 'healthmonitor list' 'healthmonitor show look' 'l7policy list' \
    'l7policy show to-green' 'l7rule list to-green' "l7rule show to-green $rule" 'provider list'; do later loadbalancer $each; done
  gather

  lb set --description other --tag two web
  lb listener set --connection-limit 500 --timeout-client-data 60000 http
  lb pool set --lb-algorithm LEAST_CONNECTIONS blues
  lb member set --weight 5 blues blue
  lb healthmonitor set --max-retries 2 look
  lb l7rule set --value /gruen to-green "$rule"
  lb l7policy set --description d to-green
  until_answer "$vip" green gruen
  lb unset --description --tag two web
  lb listener unset --connection-limit --timeout-client-data http
  lb pool unset --session-persistence blues
  lb member unset --weight blues blue
  lb healthmonitor unset --max-retries-down look
  lb l7rule unset --invert to-green "$rule"
  lb l7policy unset --description to-green
  same 'the weight' "$(value weight loadbalancer member show blues blue)" 1
  same 'the tags' "$(value tags loadbalancer show web | tr -d "[]'")" one

  os network qos policy create slow
  os network qos rule create --type bandwidth-limit --max-kbps 50000 --egress slow
  os network qos rule list slow
  lb set --vip-qos-policy-id slow web
  qos=$(value id network qos policy show slow)
  same 'the QoS policy' "$(value vip_qos_policy_id loadbalancer show web)" "$qos"
  lb unset --vip-qos-policy-id web
  os network qos policy delete slow
  floating_ip "$vip"
  secrets "$vip"

  lb l7rule delete to-green "$rule"
  lb l7policy delete to-green
  lb healthmonitor delete look
  lb member delete blues blue
  lb pool delete blues
  lb listener delete http
  refused 'children' loadbalancer delete web
  lb pool delete greens
  os loadbalancer delete --wait web
  # A port that the user brought outlives the load balancer.
  os port delete vip
}

# A certificate from the key manager, until it answers.
secrets() {
  local vip=$1 secret container
  "$python" -c 'import barbicanclient' 2>/dev/null || { say 'no secrets: python3-barbicanclient is not installed'; return; }
  make_certificate web
  os secret store --name web --payload-content-type application/octet-stream --payload-content-encoding base64 \
    --payload "$(base64 -w0 "$work/web.p12")"
  secret=$(value 'Secret href' secret list --name web)
  os secret get "$secret"
  os acl user add --user "$(value id user show demo)" "$secret"
  os acl get "$secret"
  os acl submit --operation-type read --project-access "$secret"
  os acl user remove --user "$(value id user show demo)" "$secret"
  os acl delete "$secret"
  os secret container create --name certificate --type generic --secret "web=$secret"
  container=$(value 'Container href' secret container list --name certificate)
  os secret container get "$container"
  lb listener create --name https --protocol TERMINATED_HTTPS --protocol-port 443 --default-tls-container-ref "$secret" --default-pool blues web
  for _ in $(seq 50); do
    [ "$(curl -ksS --max-time 2 "https://$vip/" 2>/dev/null)" != blue ] || break
    sleep 0.1
  done
  same 'the answer by TLS' "$(curl -ksS --max-time 2 "https://$vip/")" blue
  lb listener delete https
  os secret container delete "$container"
  os secret delete "$secret"
  same 'what is left' "$(value Name secret list)" ''
}

floating_ip() {
  local address
  os floating ip create public --description d
  address=$(value 'Floating IP Address' floating ip list)
  os floating ip set --port vip "$address"
  until_answer "$address" blue
  os floating ip list --port vip
  os floating ip show "$address"
  os floating ip unset --port "$address"
  same 'the address without a port' "$(ask "$address")" failed
  os floating ip delete "$address"
}

administration() {
  local project amphora
  project=$(OS_CLOUD=octavia-admin value id project show demo)
  admin loadbalancer flavorprofile create --name single --provider amphora --flavor-data '{"loadbalancer_topology": "SINGLE"}'
  admin loadbalancer flavorprofile set --name one single
  admin loadbalancer flavorprofile list
  admin loadbalancer flavorprofile show one
  admin loadbalancer flavor create --name small --flavorprofile one --description d --enable
  admin loadbalancer flavor set --name tiny small
  admin loadbalancer flavor set --name small tiny
  admin loadbalancer flavor unset --description small
  os loadbalancer flavor list
  os loadbalancer flavor show small
  admin loadbalancer availabilityzoneprofile create --name here --provider amphora --availability-zone-data '{"compute_zone": "local"}'
  admin loadbalancer availabilityzoneprofile set --name near here
  admin loadbalancer availabilityzoneprofile list
  admin loadbalancer availabilityzoneprofile show near
  admin loadbalancer availabilityzone create --name az1 --availabilityzoneprofile near --enable
  admin loadbalancer availabilityzone set --description other az1
  admin loadbalancer availabilityzone unset --description az1
  os loadbalancer availabilityzone list
  os loadbalancer availabilityzone show az1

  admin loadbalancer quota set --loadbalancer 7 "$project"
  same 'the quota' "$(value load_balancer loadbalancer quota show "$project")" 7
  os loadbalancer quota show "$project"
  admin loadbalancer quota unset --loadbalancer "$project"
  admin loadbalancer quota list
  admin loadbalancer quota reset "$project"
  admin loadbalancer quota defaults show
  admin loadbalancer provider capability list amphora

  os loadbalancer create --name web --vip-subnet-id private-subnet --flavor small
  settle web
  amphora=$(OS_CLOUD=octavia-admin value id loadbalancer amphora list --loadbalancer web)
  admin loadbalancer amphora list
  admin loadbalancer amphora show "$amphora"
  # There are statistics of listeners only, with the first heartbeat.
  lb listener create --name tcp --protocol TCP --protocol-port 80 web
  for _ in $(seq 50); do
    OS_CLOUD=octavia-admin openstack loadbalancer amphora stats show "$amphora" >"$work/stats" 2>&1 && break
    sleep 0.2
  done
  admin loadbalancer amphora stats show "$amphora"
  admin loadbalancer amphora configure "$amphora"
  refused 'in use|associated|allocated|immutable' --os-cloud octavia-admin loadbalancer amphora delete "$amphora"
  admin loadbalancer amphora failover "$amphora"
  settle web
  admin loadbalancer failover web
  settle web
  refused 'in use' --os-cloud octavia-admin loadbalancer flavorprofile delete one
  os loadbalancer delete --cascade --wait web
  admin loadbalancer flavor delete small
  admin loadbalancer flavorprofile delete one
  admin loadbalancer availabilityzone delete az1
  admin loadbalancer availabilityzoneprofile delete near
}

# Each command of the client's plug-in was run at least once.
nothing_left_out() {
  local group=openstack.load_balancer.v2 name missing=''
  openstack command list --group $group -f json >"$work/commands"
  for name in $("$python" "$root/test/clients/support/command-names.py" <"$work/commands"); do
    grep -qE -- "^(--os-cloud octavia-admin )?${name//_/ }( |$)" "$work/asked" || missing="$missing, ${name//_/ }"
  done
  [ -z "$missing" ] || fail "not tried: ${missing#, }"
}

# What runs beside the load balancer's story is printed behind it.
beside() { (trap - EXIT; "$@") >"$work/$1" 2>&1 & started=$!; }

use_client ${OCTAVIA_CLIENT_PYTHON:+"$OCTAVIA_CLIENT_PYTHON"}
use_controllers "$@"
begun=$SECONDS
stories=()
for story in users_and_projects tokens_and_credentials networks; do beside "$story"; stories+=("$story $started"); done
load_balancer
administration
for each in "${stories[@]}"; do
  read -r story pid <<<"$each"
  wait "$pid" || { cat "$work/$story"; fail "$story"; }
  cat "$work/$story"
done
nothing_left_out
say "all went well, in $((SECONDS - begun)) seconds"
