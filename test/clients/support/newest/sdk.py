"""What the newest openstacksdk does with load balancers: every method of its proxy, and those for addresses, secrets and credentials
that a user of load balancers needs. The cloud is OS_CLOUD's, the administrator's is octavia-admin. Usage: sdk.py P12_FILE"""
import base64
import importlib.metadata
import inspect
import sys

import openstack
from openstack.load_balancer.v2._proxy import Proxy

called = set()


def noting(name, method):
    def call(self, *args, **words):
        called.add(name)
        return method(self, *args, **words)
    return call


offered = {name for name, value in vars(Proxy).items() if inspect.isfunction(value) and not name.startswith('_')}
for each in offered:
    setattr(Proxy, each, noting(each, getattr(Proxy, each)))

cloud = openstack.connect()
admin = openstack.connect(cloud='octavia-admin')
lb_api, operator = cloud.load_balancer, admin.load_balancer
subnet = cloud.network.find_subnet('private-subnet', ignore_missing=False)


def same(got, wanted):
    assert got == wanted, f'{got!r} and not {wanted!r}'


def ids(found):
    return [each.id for each in found]


def last(reference):
    return reference.rsplit('/', 1)[-1]


def settled():
    return lb_api.wait_for_load_balancer(lb.id, interval=0.1, wait=60)


def refused(status, method, *args, **words):
    try:
        method(*args, **words)
    except openstack.exceptions.HttpException as error:
        same(error.status_code, status)
    else:
        raise AssertionError(f'{method.__name__} was not refused')


# What the operator offers.
profile = operator.create_flavor_profile(name='sdk', provider_name='amphora', flavor_data='{"loadbalancer_topology": "SINGLE"}')
profile = operator.update_flavor_profile(profile, name='sdk-single')
same(operator.get_flavor_profile(profile.id).name, 'sdk-single')
same(operator.find_flavor_profile('sdk-single').id, profile.id)
same(ids(operator.flavor_profiles(name='sdk-single')), [profile.id])
flavor = operator.create_flavor(name='sdk', flavor_profile_id=profile.id, is_enabled=True)
operator.update_flavor(flavor, description='one amphora')
same(lb_api.get_flavor(flavor.id).description, 'one amphora')
same(lb_api.find_flavor('sdk').id, flavor.id)
same(ids(lb_api.flavors(name='sdk')), [flavor.id])
zones = operator.create_availability_zone_profile(name='sdk', provider_name='amphora', availability_zone_data='{"compute_zone": "local"}')
zones = operator.update_availability_zone_profile(zones, name='sdk-here')
same(operator.get_availability_zone_profile(zones.id).name, 'sdk-here')
same(operator.find_availability_zone_profile('sdk-here').id, zones.id)
same(ids(operator.availability_zone_profiles(name='sdk-here')), [zones.id])
# Availability zones have no id, and the SDK takes their name only as a word.
operator.create_availability_zone(name='sdk', availability_zone_profile_id=zones.id, is_enabled=True)
operator.update_availability_zone('sdk', description='this machine')
same(lb_api.get_availability_zone('sdk').description, 'this machine')
same(lb_api.find_availability_zone('sdk').name, 'sdk')
same([each.name for each in lb_api.availability_zones(name='sdk')], ['sdk'])
same('amphora' in [each.name for each in lb_api.providers()], True)
same('loadbalancer_topology' in [each.name for each in operator.provider_flavor_capabilities('amphora')], True)

project = cloud.current_project_id
operator.update_quota(project, load_balancers=7)
same(lb_api.get_quota(project).load_balancers, 7)
same([each.load_balancers for each in operator.quotas() if each.id == project], [7])
operator.delete_quota(project)
same(lb_api.get_quota(project).load_balancers, operator.get_quota_default().load_balancers)

# A tree in one call.
group = cloud.network.create_security_group(name='sdk')
cloud.network.create_security_group_rule(security_group_id=group.id, direction='ingress', protocol='tcp', port_range_min=80, port_range_max=80)
lb = lb_api.create_load_balancer(name='sdk', vip_subnet_id=subnet.id, flavor_id=flavor.id, availability_zone='sdk', tags=['sdk'], listeners=[{
    'name': 'sdk', 'protocol': 'HTTP', 'protocol_port': 80, 'default_pool': {
        'name': 'sdk', 'protocol': 'HTTP', 'lb_algorithm': 'ROUND_ROBIN',
        'members': [{'name': 'one', 'address': subnet.gateway_ip, 'protocol_port': 9001}],
        'healthmonitor': {'name': 'sdk', 'type': 'HTTP', 'delay': 5, 'timeout': 2, 'max_retries': 2}}}])
lb_api.wait_for_status(lb, 'ACTIVE', ['ERROR'], interval=0.1, wait=60, attribute='provisioning_status')
lb = lb_api.find_load_balancer('sdk', ignore_missing=False)
listener = lb_api.find_listener('sdk', ignore_missing=False)
pool = lb_api.find_pool('sdk', ignore_missing=False)
monitor = lb_api.find_health_monitor('sdk', ignore_missing=False)
member = lb_api.find_member('one', pool, ignore_missing=False)
same(ids(lb_api.load_balancers(tags='sdk')), [lb.id])
same([each['id'] for each in lb.listeners], [listener.id])
same((pool.health_monitor_id, pool.loadbalancers[0]['id']), (monitor.id, lb.id))
lb_api.update_load_balancer(lb, vip_sg_ids=[group.id], description='changed')
same((settled().description, lb_api.get_load_balancer(lb.id).vip_sg_ids), ('changed', [group.id]))
same(lb_api.get_load_balancer_statistics(lb.id).total_connections, 0)

# Each piece by itself: made, looked at in each way, changed, removed.
lb_api.update_listener(listener, connection_limit=500)
settled()
same(lb_api.get_listener(listener.id).connection_limit, 500)
same(lb_api.get_listener_statistics(listener.id).active_connections, 0)
tcp = lb_api.create_listener(name='tcp', protocol='TCP', protocol_port=81, load_balancer_id=lb.id, timeout_client_data=9000)
settled()
same(sorted(ids(lb_api.listeners(load_balancer_id=lb.id))), sorted([listener.id, tcp.id]))
spare = lb_api.create_pool(name='spare', protocol='HTTP', lb_algorithm='SOURCE_IP', loadbalancer_id=lb.id)
settled()
lb_api.update_pool(spare, lb_algorithm='LEAST_CONNECTIONS', session_persistence={'type': 'HTTP_COOKIE', 'cookie_name': None})
settled()
same((lb_api.get_pool(spare.id).lb_algorithm, lb_api.get_pool(spare.id).session_persistence['type']), ('LEAST_CONNECTIONS', 'HTTP_COOKIE'))
same(ids(lb_api.pools(name='spare')), [spare.id])
two = lb_api.create_member(spare, name='two', address=subnet.gateway_ip, protocol_port=9002, subnet_id=subnet.id, backup=True)
settled()
lb_api.update_member(two, spare, weight=7)
settled()
same((lb_api.get_member(two.id, spare).weight, ids(lb_api.members(spare))), (7, [two.id]))
watch = lb_api.create_health_monitor(name='watch', pool_id=spare.id, type='TCP', delay=3, timeout=2, max_retries=2)
settled()
lb_api.update_health_monitor(watch, max_retries=4)
settled()
same((lb_api.get_health_monitor(watch.id).max_retries, ids(lb_api.health_monitors(name='watch'))), (4, [watch.id]))
policy = lb_api.create_l7_policy(listener_id=listener.id, action='REDIRECT_TO_URL', redirect_url='http://example.org/', name='away')
settled()
lb_api.update_l7_policy(policy, redirect_url='http://example.org/there')
settled()
same((lb_api.get_l7_policy(policy.id).redirect_url, lb_api.find_l7_policy('away').id), ('http://example.org/there', policy.id))
same(ids(lb_api.l7_policies(listener_id=listener.id)), [policy.id])
rule = lb_api.create_l7_rule(policy, type='PATH', compare_type='EQUAL_TO', value='/away')
settled()
lb_api.update_l7_rule(rule, policy, rule_value='/gone')
settled()
same((lb_api.get_l7_rule(rule, policy).rule_value, lb_api.find_l7_rule(rule.id, policy).id, ids(lb_api.l7_rules(policy))), ('/gone', rule.id, [rule.id]))

# A certificate from the key manager.
with open(sys.argv[1], 'rb') as bundle:
    secret = cloud.key_manager.create_secret(name='sdk', payload=base64.b64encode(bundle.read()).decode(), payload_content_encoding='base64',
                                             payload_content_type='application/octet-stream')
same([each.name for each in cloud.key_manager.secrets(name='sdk')], ['sdk'])
https = lb_api.create_listener(name='https', protocol='TERMINATED_HTTPS', protocol_port=443, load_balancer_id=lb.id,
                               default_pool_id=pool.id, default_tls_container_ref=secret.secret_ref, tls_versions=['TLSv1.3'])
settled()
same(lb_api.get_listener(https.id).provisioning_status, 'ACTIVE')
lb_api.delete_listener(https)
settled()
container = cloud.key_manager.create_container(name='sdk', type='generic', secret_refs=[{'name': 'web', 'secret_ref': secret.secret_ref}])
same([each.name for each in cloud.key_manager.containers()], ['sdk'])
cloud.key_manager.delete_container(last(container.container_ref), ignore_missing=False)
cloud.key_manager.delete_secret(last(secret.secret_ref), ignore_missing=False)
same(list(cloud.key_manager.secrets(name='sdk')), [])

# Addresses, also those that others reach.
address = cloud.network.create_ip(floating_network_id=cloud.network.find_network('public').id, port_id=lb.vip_port_id)
same(ids(cloud.network.ips(port_id=lb.vip_port_id, fixed_ip_address=lb.vip_address)), [address.id])
same(cloud.network.find_port(lb.vip_port_id).device_owner, 'Octavia')

# A credential for programs.
user = cloud.current_user_id
credential = cloud.identity.create_application_credential(user, 'sdk', roles=[{'name': 'reader'}], access_rules=[
    {'service': 'load-balancer', 'method': method, 'path': '/v2.0/lbaas/' + path}
    for method, path in (('GET', 'loadbalancers'), ('DELETE', 'loadbalancers/*'))])
program = openstack.connect(load_envvars=False, load_yaml_config=False, auth_type='v3applicationcredential', region_name=cloud.config.region_name, auth=dict(
    auth_url=cloud.config.auth['auth_url'], application_credential_id=credential.id, application_credential_secret=credential.secret))
same(ids(program.load_balancer.load_balancers()), [lb.id])
refused(403, program.load_balancer.delete_load_balancer, lb.id)
refused(401, lambda: list(program.load_balancer.listeners()))
same(ids(cloud.identity.application_credentials(user)), [credential.id])
cloud.identity.delete_application_credential(user, credential)
for each in list(cloud.identity.access_rules(user)):
    cloud.identity.delete_access_rule(user, each, ignore_missing=False)

# The operator looks after it.
amphora, = operator.amphorae(loadbalancer_id=lb.id)
same((operator.get_amphora(amphora.id).role, operator.find_amphora(amphora.id).id), ('STANDALONE', amphora.id))
operator.configure_amphora(amphora.id)
operator.failover_amphora(amphora.id)
settled()
operator.failover_load_balancer(lb.id)
settled()
same([amphora.id in ids(operator.amphorae(loadbalancer_id=lb.id))], [False])

for method, *removed in ((lb_api.delete_l7_rule, rule, policy), (lb_api.delete_l7_policy, policy), (lb_api.delete_health_monitor, watch),
                         (lb_api.delete_member, two, spare), (lb_api.delete_pool, spare), (lb_api.delete_listener, tcp)):
    method(*removed, ignore_missing=False)
    settled()
refused(409, operator.delete_flavor, flavor)
lb_api.delete_load_balancer(lb, cascade=True)
lb_api.wait_for_delete(lb, interval=0.1, wait=60)
same(cloud.network.get_ip(address).port_id, None)
cloud.network.delete_ip(address)
cloud.network.delete_security_group(group)
operator.delete_flavor(flavor, ignore_missing=False)
operator.delete_flavor_profile(profile, ignore_missing=False)
operator.delete_availability_zone('sdk', ignore_missing=False)
operator.delete_availability_zone_profile(zones, ignore_missing=False)
same(sorted(offered - called), [])
print('openstacksdk', importlib.metadata.version('openstacksdk'), 'did all of it:', len(called), 'methods')
