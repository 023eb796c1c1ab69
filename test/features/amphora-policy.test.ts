/** Who may have an amphora replaced or configured anew when a policy file gives that to the members of its load balancer's project. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPolicy } from '../../src/api/policy/policy.ts';
import { withAmphorae } from '../support/fake-amphorae.ts';

const UNKNOWN = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';
const callers = {
  admin: { roles: ['admin', 'member'], project_id: 'p' },
  owner: { roles: ['member'], project_id: 'p' },
  other: { roles: ['member'], project_id: 'q' },
};

test('owners may what a policy file gives them on their amphorae, members of other projects not', async (t) => {
  const owners = new Map(
    ['put_config', 'put_failover'].map((action) => [`os_load-balancer_api:amphora:${action}`, 'rule:load-balancer:write']),
  );
  const policy = createPolicy({ overrides: owners });
  const api = await withAmphorae(t, { callers, parts: () => ({ policy: () => policy }) });
  const as = (token: keyof typeof callers) => ({ 'x-auth-token': token });
  const made = await api.call(
    'POST',
    '/loadbalancers',
    { loadbalancer: { name: 'one', vip_subnet_id: 'c55e7725-894c-400e-bd00-57a04ae1e676' } },
    as('owner'),
  );
  const lb: string = made.body.loadbalancer.id;
  await api.settled(lb);
  const [amphora] = (await api.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${lb}`, undefined, as('admin'))).body.amphorae;
  for (const action of ['config', 'failover']) {
    const put = async (token: keyof typeof callers, id: string): Promise<number> =>
      (await api.call('PUT', `/v2/octavia/amphorae/${id}/${action}`, undefined, as(token))).status;
    assert.deepEqual([await put('other', amphora.id), await put('other', UNKNOWN)], [403, 404]);
    assert.equal(await put('owner', amphora.id), 202);
    await api.settled(lb);
  }
  assert.equal((await api.call('DELETE', `/v2/octavia/amphorae/${amphora.id}`, undefined, as('owner'))).status, 403);
});

test('by the published policy owners may neither', async (t) => {
  const api = await withAmphorae(t, { callers });
  for (const action of ['config', 'failover'])
    assert.equal((await api.call('PUT', `/v2/octavia/amphorae/${UNKNOWN}/${action}`, undefined, { 'x-auth-token': 'owner' })).status, 403);
});
