"""What openstacksdk and its keystoneauth do with the embedded identity and network. Prints one JSON object; clouds.yaml is in the current folder."""
import json
import openstack
from keystoneauth1 import exceptions

seen = {}
demo = openstack.connect(cloud='octavia')
seen['project'] = demo.current_project.name
seen['token'] = len(demo.authorize()) > 50
seen['catalog'] = sorted(entry['type'] for entry in demo.service_catalog)
seen['networks'] = [network.name for network in demo.network.networks()]
network = demo.network.find_network('private', ignore_missing=False)
seen['subnets'] = sorted(subnet.name for subnet in demo.network.subnets(network_id=network.id))
subnet = demo.network.find_subnet('private-subnet', ignore_missing=False)
group = demo.network.create_security_group(name='web')
rule = demo.network.create_security_group_rule(security_group_id=group.id, direction='ingress', protocol='tcp', port_range_min=80, port_range_max=80)
seen['rules'] = len(demo.network.get_security_group(group.id).security_group_rules)
port = demo.network.create_port(network_id=network.id, name='one', fixed_ips=[{'subnet_id': subnet.id}], security_groups=[group.id])
seen['found'] = demo.network.find_port('one').id == port.id
seen['addresses'] = len(port.fixed_ips)
seen['updated'] = demo.network.update_port(port, name='two', security_groups=[]).name
demo.network.set_tags(port, ['a', 'b'])
seen['tagged'] = [each.tags for each in demo.network.ports(tags='a')]
demo.network.delete_port(port, ignore_missing=False)
demo.network.delete_security_group(group, ignore_missing=False)
seen['left'] = len(list(demo.network.ports()))
seen['floating'] = len(list(demo.network.ips(port_id=port.id)))
user = demo.current_user_id
credential = demo.identity.create_application_credential(user, 'ci', roles=[{'name': 'reader'}])
as_ci = dict(auth_type='v3applicationcredential', region_name='RegionOne',
             auth=dict(auth_url=demo.config.auth['auth_url'], application_credential_id=credential.id, application_credential_secret=credential.secret))
ci = openstack.connect(**as_ci)
seen['ci'] = [each.name for each in ci.network.networks()]
try:
    ci.network.create_port(network_id=network.id)
    seen['ci writes'] = True
except openstack.exceptions.HttpException as error:
    seen['ci writes'] = error.status_code != 403
demo.identity.delete_application_credential(user, credential, ignore_missing=False)
try:
    openstack.connect(**as_ci).authorize()
    seen['ci after'] = True
except (exceptions.Unauthorized, openstack.exceptions.SDKException):
    seen['ci after'] = False
admin = openstack.connect(cloud='octavia-admin')
project = admin.identity.create_project(name='p')
person = admin.identity.create_user(name='u', password='secret', default_project_id=project.id)
admin.identity.assign_project_role_to_user(project, person, admin.identity.find_role('member'))
seen['assignments'] = len(list(admin.identity.role_assignments(user_id=person.id)))
other = openstack.connect(region_name='RegionOne', auth=dict(auth_url=demo.config.auth['auth_url'], username='u', password='secret',
                          project_name='p', user_domain_name='Default', project_domain_name='Default'))
seen['other'] = other.current_project.name
admin.identity.delete_user(person)
admin.identity.delete_project(project)
seen['projects'] = sorted(each.name for each in admin.identity.projects())
seen['services'] = [each.is_enabled for each in admin.identity.services(type='load-balancer')]
print(json.dumps(seen))
