"""What the newest openstacksdk does with load balancers: a tree, found by name, changed, and removed. The cloud is OS_CLOUD's."""
import importlib.metadata

import openstack

cloud = openstack.connect()
lb_api = cloud.load_balancer
subnet = cloud.network.find_subnet('private-subnet', ignore_missing=False)
group = cloud.network.create_security_group(name='sdk')
cloud.network.create_security_group_rule(security_group_id=group.id, direction='ingress', protocol='tcp', port_range_min=80, port_range_max=80)


def wait():
    return lb_api.wait_for_load_balancer(lb.id, interval=0.2, wait=60)


lb = lb_api.create_load_balancer(name='sdk', vip_subnet_id=subnet.id, tags=['sdk'], listeners=[{
    'name': 'sdk', 'protocol': 'HTTP', 'protocol_port': 80, 'default_pool': {
        'name': 'sdk', 'protocol': 'HTTP', 'lb_algorithm': 'ROUND_ROBIN',
        'members': [{'name': 'one', 'address': subnet.gateway_ip, 'protocol_port': 9001}],
        'healthmonitor': {'type': 'HTTP', 'delay': 5, 'timeout': 2, 'max_retries': 2}}}])
wait()
lb = lb_api.find_load_balancer('sdk', ignore_missing=False)
listener = lb_api.find_listener('sdk', ignore_missing=False)
pool = lb_api.find_pool('sdk', ignore_missing=False)
assert [each.id for each in lb_api.load_balancers(tags='sdk')] == [lb.id]
assert [each['id'] for each in lb.listeners] == [listener.id]
assert pool.health_monitor_id and pool.loadbalancers[0]['id'] == lb.id
member = lb_api.find_member('one', pool, ignore_missing=False)
lb_api.update_member(member, pool, weight=7)
wait()
assert lb_api.get_member(member, pool).weight == 7
policy = lb_api.create_l7_policy(listener_id=listener.id, action='REDIRECT_TO_URL', redirect_url='http://example.org/', name='away')
wait()
rule = lb_api.create_l7_rule(policy, type='PATH', compare_type='EQUAL_TO', value='/away')
wait()
assert [each.id for each in lb_api.l7_rules(policy)] == [rule.id]
lb_api.update_load_balancer(lb, vip_sg_ids=[group.id], description='changed')
assert wait().description == 'changed'
address = cloud.network.create_ip(floating_network_id=cloud.network.find_network('public').id, port_id=lb.vip_port_id)
assert [each.id for each in cloud.network.ips(port_id=lb.vip_port_id, fixed_ip_address=lb.vip_address)] == [address.id]
assert cloud.network.find_port(lb.vip_port_id).device_owner == 'Octavia'
assert lb_api.get_load_balancer_statistics(lb.id).total_connections == 0
assert [each.name for each in lb_api.providers()]
assert lb_api.get_quota(cloud.current_project_id).load_balancers is not None
lb_api.delete_load_balancer(lb, cascade=True)
lb_api.wait_for_delete(lb, interval=0.2, wait=60)
assert cloud.network.get_ip(address).port_id is None
cloud.network.delete_ip(address)
cloud.network.delete_security_group(group)
print('openstacksdk', importlib.metadata.version('openstacksdk'), 'did all of it')
