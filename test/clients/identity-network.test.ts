/** The stock clients (openstacksdk in one process, the `openstack` command, one without a catalog) against the embedded identity and network. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { findPython, withClient } from '../support/stock-client.ts';

const python = findPython('openstack');
const skip = python === null ? 'the stock clients are not installed (Debian: python3-openstackclient)' : false;

test(
  'openstacksdk finds its way: tokens, catalog, networks, ports, groups, application credentials, administration',
  { skip },
  async (t) => {
    const { execute } = await withClient(t);
    const seen: unknown = JSON.parse(await execute(python ?? '', [join(import.meta.dirname, 'identity-network.py')]));
    assert.deepEqual(seen, {
      project: 'demo',
      token: true,
      catalog: ['identity', 'load-balancer', 'network'],
      networks: ['private', 'public'],
      subnets: ['private-subnet', 'private-subnet-v6'],
      rules: 3,
      found: true,
      addresses: 1,
      updated: 'two',
      tagged: [['a', 'b']],
      left: 0,
      floating: 0,
      ci: ['private', 'public'],
      'ci writes': false,
      'ci after': false,
      assignments: 1,
      other: 'p',
      projects: ['admin', 'demo', 'service'],
      services: [true],
    });
  },
);

test('the openstack command issues a token, lists the catalog and makes a port', { skip }, async (t) => {
  const { execute } = await withClient(t);
  const openstack = (...args: readonly string[]): Promise<string> => execute('openstack', ['--os-cloud', 'octavia', ...args]);
  assert.match(await openstack('token', 'issue', '-f', 'value', '-c', 'id'), /^[\w.-]{100,}\n$/u);
  assert.match(await openstack('catalog', 'list', '-f', 'json'), /load-balancer/u);
  assert.equal(await openstack('project', 'list', '-f', 'value', '-c', 'Name'), 'demo\n');
  const made = await openstack(
    'port',
    'create',
    '--network',
    'private',
    '--fixed-ip',
    'subnet=private-subnet,ip-address=198.18.1.77',
    'p',
    '-f',
    'json',
  );
  assert.equal(JSON.parse(made).fixed_ips[0].ip_address, '198.18.1.77');
  assert.equal(await openstack('port', 'list', '--network', 'private', '-f', 'value', '-c', 'Name'), 'p\n');
  await openstack('port', 'delete', 'p');
  assert.equal(await openstack('application', 'credential', 'create', '--role', 'member', 'ci', '-f', 'value', '-c', 'roles'), 'member\n');
});

test('without authentication the command finds networks at the load-balancer API’s own address', { skip }, async (t) => {
  const { base, execute } = await withClient(t, { noauth: true });
  const args = ['--os-auth-type', 'none', '--os-endpoint', base, 'network', 'list', '-f', 'value', '-c', 'Name'];
  assert.deepEqual((await execute('openstack', args)).trim().split('\n').toSorted(), ['lb-mgmt-net', 'private', 'public']);
});
