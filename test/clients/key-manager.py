"""What python-barbicanclient does with the embedded key manager. Prints one JSON object; clouds.yaml is in the current folder, the fixtures are the argument."""
import base64
import json
import sys

import openstack
from barbicanclient import client
from barbicanclient import exceptions

fixtures = sys.argv[1]


def read(name):
    with open(f'{fixtures}/{name}', 'rb') as file:
        return file.read()


seen = {}
demo = openstack.connect(cloud='octavia')
seen['catalog'] = sorted(entry['type'] for entry in demo.service_catalog)
barbican = client.Client(session=demo.session, region_name='RegionOne')
secrets, containers = barbican.secrets, barbican.containers


def store(payload, **more):
    return secrets.create(payload=payload, **more).store()


bundle = store(read('ecdsa-modern.p12'), name='bundle')
seen['bytes'] = secrets.get(bundle).payload == read('ecdsa-modern.p12')
text = store(read('rsa.crt').decode(), name='text', secret_type='certificate', algorithm='rsa', bit_length=2048, expiration='2099-01-01T00:00:00')
shown = secrets.get(text)
seen['text'] = [shown.name, shown.secret_type, shown.bit_length, str(shown.expiration), shown.payload_content_type, shown.status]
seen['payload'] = shown.payload == read('rsa.crt').decode().strip()
late = store(None, name='late')
secrets.update(late, payload='afterwards')
seen['late'] = secrets.get(late).payload
for number in range(3):
    store('x', name='many')
seen['listed'] = [len(secrets.list(limit=2)), len(secrets.list(name='many')), len(secrets.list(limit=100))]

certificate = containers.create_certificate(
    name='web',
    certificate=secrets.get(text),
    private_key=secrets.create(payload=read('rsa-encrypted.key').decode()),
    private_key_passphrase=secrets.create(payload='secret'),
)
container = certificate.store()
found = containers.get(container)
seen['container'] = [type(found).__name__, found.private_key_passphrase.payload, len(found.secret_refs)]
consumers = containers.register_consumer(container, 'me', 'https://somewhere')
seen['consumers'] = [dict(each) for each in containers.get(container).consumers]
containers.remove_consumer(container, 'me', 'https://somewhere')
seen['without'] = len(containers.get(container).consumers)
generic = containers.create(name='box', secrets={'one': secrets.get(bundle)})
generic.store()
seen['containers'] = sorted(each.name for each in containers.list())

acl = barbican.acls.create(entity_ref=bundle, users=['somebody'], project_access=False)
acl.submit()
read_acl = barbican.acls.get(bundle).read
seen['acl'] = [read_acl.users, read_acl.project_access]
acl.remove()
seen['open'] = barbican.acls.get(bundle).read.project_access

refusals = []
for attempt in (
    lambda: secrets.get('00000000-0000-4000-8000-000000000000').payload,
    lambda: store('x' * 20001),
    lambda: store('x', expiration='2001-01-01'),
):
    try:
        attempt()
    except exceptions.HTTPClientError as error:
        refusals.append([error.status_code, str(error)])
seen['refusals'] = refusals
if hasattr(secrets, 'register_consumer'):
    secrets.register_consumer(bundle, 'compute', 'SERVERS', 'one')
    seen['secret consumers'] = secrets.get(bundle).consumers
    try:
        secrets.delete(bundle)
    except exceptions.SecretHasConsumers:
        secrets.delete(bundle, force=True)
        seen['forced'] = True
containers.delete(container)
for each in secrets.list(limit=100):
    secrets.delete(each.secret_ref)
seen['left'] = len(secrets.list())
print(json.dumps(seen))
