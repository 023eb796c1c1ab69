/** Who may do what, quotas, and requests that get in each other's way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApiAnswer, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

const callers = {
  member: { roles: ['member', 'reader'], project_id: 'p' },
  reader: { roles: ['reader'], project_id: 'p' },
  stranger: { roles: ['member'], project_id: 'other' },
  admin: { roles: ['admin'], project_id: 'admins', is_admin: true },
  nobody: { roles: [], project_id: 'p' },
};
const as = (name: keyof typeof callers): Record<string, string> => ({ 'x-auth-token': name });

test('a project sees and changes its own, an administrator everything', async (t) => {
  const api = await withApi(t, { callers });
  const body = { loadbalancer: { vip_subnet_id: SUBNET, listeners: [{ protocol: 'HTTP', protocol_port: 80 }] } };
  const made = await api.act('POST', '/loadbalancers', body, as('member'));
  assert.equal(made.status, 201);
  assert.equal(made.body.loadbalancer.project_id, 'p');
  const { id, listeners } = made.body.loadbalancer;
  const listener = listeners[0].id;
  const status = async (
    name: keyof typeof callers,
    method: 'GET' | 'PUT' | 'DELETE' | 'POST',
    path: string,
    payload?: unknown,
  ): Promise<number> => (await api.act(method as 'PUT', path, payload, as(name))).status;
  const cases: readonly (readonly [keyof typeof callers, 'GET' | 'PUT' | 'POST' | 'DELETE', string, unknown, number])[] = [
    ['reader', 'GET', `/loadbalancers/${id}`, undefined, 200],
    ['reader', 'GET', `/loadbalancers/${id}/status`, undefined, 200],
    ['reader', 'PUT', `/loadbalancers/${id}`, { loadbalancer: { name: 'x' } }, 403],
    ['reader', 'POST', '/listeners', { listener: { loadbalancer_id: id, protocol: 'TCP', protocol_port: 1 } }, 403],
    ['nobody', 'GET', '/loadbalancers', undefined, 403],
    ['stranger', 'GET', `/loadbalancers/${id}`, undefined, 403],
    ['stranger', 'DELETE', `/listeners/${listener}`, undefined, 403],
    ['stranger', 'POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: SUBNET, project_id: 'p' } }, 403],
    ['member', 'PUT', `/loadbalancers/${id}/failover`, undefined, 403],
    ['member', 'GET', '/v2/octavia/amphorae', undefined, 403],
    ['member', 'GET', '/providers', undefined, 200],
    ['member', 'GET', '/providers/amphora/flavor_capabilities', undefined, 403],
    ['member', 'PUT', `/listeners/${listener}`, { listener: { name: 'x' } }, 200],
    ['admin', 'PUT', `/loadbalancers/${id}`, { loadbalancer: { name: 'x' } }, 200],
    ['admin', 'PUT', `/loadbalancers/${id}/failover`, undefined, 202],
    ['admin', 'GET', '/providers/amphora/flavor_capabilities', undefined, 200],
  ];
  for (const [name, method, path, payload, expected] of cases)
    assert.equal(await status(name, method, path, payload), expected, `${name} ${method} ${path}`);
  const count = async (name: keyof typeof callers, query = ''): Promise<number> => {
    const answer = await api.call('GET', `/loadbalancers${query}`, undefined, as(name));
    return answer.status === 200 ? answer.body.loadbalancers.length : answer.status;
  };
  assert.deepEqual(
    [await count('member'), await count('stranger'), await count('admin'), await count('admin', '?project_id=other')],
    [1, 0, 1, 0],
  );
  assert.equal(await count('stranger', '?project_id=p'), 403);
});

test('a quota is shown, set in both spellings, enforced and reset', async (t) => {
  const api = await withApi(t, { callers });
  const quota = (method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<ApiAnswer> =>
    api.act(method as 'PUT', `/quotas/${path}`, body, as('admin'));
  const all = {
    loadbalancer: -1,
    load_balancer: -1,
    listener: -1,
    member: -1,
    pool: -1,
    healthmonitor: -1,
    health_monitor: -1,
    l7policy: -1,
    l7rule: -1,
  };
  assert.deepEqual((await quota('GET', 'p')).body, { quota: { ...all, project_id: 'p', tenant_id: 'p' } });
  assert.equal((await quota('GET', 'defaults')).body.quota.pool, -1);
  const set = await quota('PUT', 'p', { quota: { load_balancer: 1, listener: 2, pool: 1, member: 2, health_monitor: 0 } });
  assert.equal(set.status, 202);
  assert.deepEqual([set.body.quota.loadbalancer, set.body.quota.healthmonitor, set.body.quota.l7rule], [1, 0, -1]);
  assert.equal((await quota('PUT', 'p', { quota: { pool: -2 } })).status, 400);
  assert.equal((await quota('PUT', 'p', { quota: { nonsense: 1 } })).status, 400);
  assert.equal((await api.call('PUT', '/quotas/p', { quota: { pool: 9 } }, as('member'))).status, 403);
  // A list names the project only to narrow what the caller sees.
  const listed = async (name: keyof typeof callers, query: string): Promise<string[]> =>
    (await api.call('GET', `/quotas${query}`, undefined, as(name))).body.quotas.map((each: { project_id: string }) => each.project_id);
  assert.deepEqual(
    [await listed('member', ''), await listed('stranger', '?project_id=p'), await listed('admin', '?project_id=p')],
    [['p'], [], ['p']],
  );

  const post = (path: string, body: unknown) => api.act('POST', path, body, as('member'));
  const tree = (listeners: number) => ({
    loadbalancer: {
      vip_subnet_id: SUBNET,
      listeners: Array.from({ length: listeners }, (_, at) => ({ protocol: 'TCP', protocol_port: at + 1 })),
    },
  });
  const tooMuch = await post('/loadbalancers', tree(3));
  assert.deepEqual([tooMuch.status, tooMuch.body.faultstring], [403, 'Quota has been met for resources: Listener']);
  const made = await post('/loadbalancers', tree(1));
  assert.equal(made.status, 201);
  assert.equal((await post('/loadbalancers', tree(0))).status, 403);
  const loadbalancer_id = made.body.loadbalancer.id;
  const listener = (protocol_port: number) => post('/listeners', { listener: { loadbalancer_id, protocol: 'TCP', protocol_port } });
  assert.deepEqual([(await listener(80)).status, (await listener(81)).status], [201, 403]);
  const pool = (await post('/pools', { pool: { loadbalancer_id, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' } })).body.pool.id;
  const monitor = { pool_id: pool, type: 'TCP', delay: 1, timeout: 1, max_retries: 1 };
  assert.equal((await post('/healthmonitors', { healthmonitor: monitor })).status, 403);
  const member = (host: number) => ({ address: `192.0.2.${host}`, protocol_port: 80 });
  const batch = (...hosts: number[]) => api.act('PUT', `/pools/${pool}/members`, { members: hosts.map(member) }, as('member'));
  assert.deepEqual(
    [(await batch(1, 2)).status, (await batch(1, 2, 3)).status, (await batch(2, 3)).status],
    [202, 403, 202],
    'those that go make room',
  );

  assert.equal((await quota('DELETE', 'p')).status, 202);
  assert.equal((await listener(81)).status, 201);
  assert.equal((await quota('DELETE', 'never')).status, 404);
  assert.equal((await api.call('GET', '/quotas?project_id=p', undefined, as('admin'))).body.quotas[0].listener, null);
});

test('of many requests for the last place in a quota one gets it', async (t) => {
  const api = await withApi(t, { callers });
  await api.call('PUT', '/quotas/p', { quota: { loadbalancer: 3 } }, as('admin'));
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => api.call('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: SUBNET } }, as('member'))),
  );
  assert.deepEqual(answers.map((each) => each.status).toSorted(), [...Array<number>(3).fill(201), ...Array<number>(9).fill(403)]);
  assert.equal(api.network.ports.size, 3);
});

test('of many changes of one load balancer at once one is taken, the others are told to wait', async (t) => {
  const api = await withApi(t);
  const { id } = (await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET } })).body.loadbalancer;
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, at) =>
      api.call('POST', '/listeners', { listener: { loadbalancer_id: id, protocol: 'TCP', protocol_port: at + 1 } }),
    ),
  );
  assert.deepEqual(answers.map((each) => each.status).toSorted(), [201, ...Array<number>(9).fill(409)]);
  const work = await api.db.read.selectFrom('reconciliation').select(['generation', 'applied_generation']).executeTakeFirstOrThrow();
  assert.equal(work.generation, work.applied_generation + 1);
});
