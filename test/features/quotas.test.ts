/** Quotas under pressure: never more than allowed, never less than possible, and what is used is what there is. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type ApiAnswer, type ApiTest, withApi } from '../support/api.ts';
import { withDatabaseUrl } from '../support/database.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

const callers = {
  member: { roles: ['member'], project_id: 'p' },
  other: { roles: ['member'], project_id: 'q' },
  reader: { roles: ['reader'], project_id: 'p' },
  stranger: { roles: ['reader'], project_id: 'q' },
  admin: { roles: ['admin'], project_id: 'admins', is_admin: true },
};
const as = (name: keyof typeof callers) => ({ 'x-auth-token': name });

/** Two controllers on one database, each with connections of its own. */
async function twoApis(t: TestContext): Promise<readonly [ApiTest, ApiTest]> {
  const url = await withDatabaseUrl(t);
  const open = async (): Promise<ApiTest> => {
    const db = openDatabase({ url });
    await migrate(db);
    const api = await withApi(t, { callers, db });
    t.after(() => db.close());
    return api;
  };
  return [await open(), await open()];
}

const setQuota = async (api: ApiTest, quota: object): Promise<void> => {
  assert.equal((await api.call('PUT', '/quotas/p', { quota }, as('admin'))).status, 202);
};

const usageOf = async (api: ApiTest): Promise<Readonly<Record<string, { readonly limit: number; readonly used: number }>>> =>
  (await api.call('GET', '/quotas/p/usage', undefined, as('admin'))).body.quota_usage;

const create = (api: ApiTest, body: object = {}): Promise<ApiAnswer> =>
  api.call('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: SUBNET, ...body } }, as('member'));

const tally = (answers: readonly ApiAnswer[]): Readonly<Record<string, number>> =>
  Object.fromEntries([...Map.groupBy(answers, (each) => each.status)].map(([status, list]) => [status, list.length]));

/** Sends them all at once, half to each controller. */
const crowd = (apis: readonly ApiTest[], count: number, send: (api: ApiTest, at: number) => Promise<ApiAnswer>): Promise<ApiAnswer[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => send(apis[at % apis.length] as ApiTest, at)));

test('of fifty creators at once just as many succeed as there are places, and freed places are given again', async (t) => {
  const apis = await twoApis(t);
  const [api] = apis;
  await setQuota(api, { loadbalancer: 20 });
  assert.deepEqual(tally(await crowd(apis, 50, (each) => create(each))), { 201: 20, 403: 30 });
  assert.deepEqual((await usageOf(api))['loadbalancer'], { limit: 20, used: 20 });
  await api.worker?.drain();
  const { loadbalancers } = (await api.call('GET', '/loadbalancers?fields=id', undefined, as('member'))).body;
  assert.equal(loadbalancers.length, 20);
  // What is being deleted still holds its place, and loses it when it is gone.
  const gone = loadbalancers.slice(0, 7) as { id: string }[];
  await crowd(apis, gone.length, (each, at) => each.call('DELETE', `/loadbalancers/${gone[at]?.id}`, undefined, as('member')));
  assert.deepEqual(tally(await crowd(apis, 5, (each) => create(each))), { 403: 5 });
  await api.worker?.drain();
  assert.deepEqual((await usageOf(api))['loadbalancer'], { limit: 20, used: 13 });
  assert.deepEqual(tally(await crowd(apis, 50, (each) => create(each))), { 201: 7, 403: 43 });
  // A raised limit counts at once, a lowered one takes nothing away.
  await setQuota(api, { loadbalancer: 22 });
  assert.deepEqual(tally(await crowd(apis, 10, (each) => create(each))), { 201: 2, 403: 8 });
  await setQuota(api, { loadbalancer: 3 });
  assert.deepEqual((await usageOf(api))['loadbalancer'], { limit: 3, used: 22 });
  assert.equal((await create(api)).status, 403);
});

test('a place whose network said no is free again', async (t) => {
  const apis = await twoApis(t);
  const [api] = apis;
  await setQuota(api, { loadbalancer: 5 });
  const { Fault } = await import('../../src/model/index.ts');
  for (const each of apis) each.network.failPorts(new Fault(409, 'No more addresses.'));
  const failed = tally(await crowd(apis, 30, (each) => create(each)));
  assert.equal(failed['201'], undefined);
  for (const each of apis) each.network.failPorts(null);
  assert.equal((await usageOf(api))['loadbalancer']?.used, 0);
  assert.deepEqual(tally(await crowd(apis, 30, (each) => create(each))), { 201: 5, 403: 25 });
});

test('parts of different load balancers share the quota of their project, in single requests, batches and whole trees', async (t) => {
  const apis = await twoApis(t);
  const [api] = apis;
  const pool = { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };
  const pools: string[] = [];
  for (const answer of await crowd(apis, 24, (each) => create(each, { pools: [pool] }))) pools.push(answer.body.loadbalancer.pools[0].id);
  await api.worker?.drain();
  await setQuota(api, { member: 15, listener: 4, pool: 30, healthmonitor: 3 });
  const member = (host: number) => ({ address: `192.0.2.${host}`, protocol_port: 80 });
  const single = await crowd(apis, 20, (each, at) => each.call('POST', `/pools/${pools[at]}/members`, { member: member(1) }, as('member')));
  assert.deepEqual(tally(single), { 201: 15, 403: 5 });
  await setQuota(api, { member: 25 });
  // Four batches of four, ten places: two fit.
  const batches = await crowd(apis, 4, (each, at) =>
    each.call('PUT', `/pools/${pools[20 + at]}/members?additive_only=true`, { members: [1, 2, 3, 4].map(member) }, as('member')),
  );
  assert.deepEqual(tally(batches), { 202: 2, 403: 2 });
  assert.deepEqual((await usageOf(api))['member'], { limit: 25, used: 23 });
  const monitors = await crowd(apis, 10, (each, at) =>
    each.call(
      'POST',
      '/healthmonitors',
      { healthmonitor: { pool_id: pools[at], type: 'TCP', delay: 1, timeout: 1, max_retries: 1 } },
      as('member'),
    ),
  );
  // A load balancer that is being changed is a 409, whatever the quota says.
  assert.ok((tally(monitors)['201'] ?? 0) <= 3 && (await usageOf(api))['healthmonitor']!.used <= 3);
  await api.worker?.drain();
  // Whole trees count by all of their parts, and leave nothing when one of them is too many.
  const tree = {
    listeners: [80, 81].map((protocol_port) => ({ protocol: 'HTTP', protocol_port })),
    pools: [{ ...pool, members: [member(9)] }],
  };
  const before = await usageOf(api);
  assert.deepEqual(tally(await crowd(apis, 10, (each) => create(each, tree))), { 201: 2, 403: 8 });
  const after = await usageOf(api);
  const grown = (name: string): number => (after[name]?.used ?? 0) - (before[name]?.used ?? 0);
  assert.deepEqual(['loadbalancer', 'listener', 'pool', 'member'].map(grown), [2, 4, 2, 2]);
});

test('while some create and others delete nobody ever sees more than the limit, and in the end it can be filled', async (t) => {
  const apis = await twoApis(t);
  const [api] = apis;
  await setQuota(api, { loadbalancer: 6 });
  let most = 0;
  let isOver = false;
  const watch = (async () => {
    while (!isOver) most = Math.max(most, (await usageOf(api))['loadbalancer']?.used ?? 0);
  })();
  const worker = async (each: ApiTest): Promise<void> => {
    for (let round = 0; round < 5; round += 1) {
      const made = await create(each);
      await api.worker?.drain();
      if (made.status !== 201) continue;
      const { status } = await each.call('DELETE', `/loadbalancers/${made.body.loadbalancer.id}`, undefined, as('member'));
      assert.ok(status === 204 || status === 409, String(status));
      await api.worker?.drain();
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, at) => worker(apis[at % 2] as ApiTest)));
  isOver = true;
  await watch;
  assert.ok(most >= 1 && most <= 6, `${most} of 6`);
  await api.worker?.drain();
  const left = 6 - (await usageOf(api))['loadbalancer']!.used;
  assert.deepEqual(tally(await crowd(apis, 20, (each) => create(each))), { ...(left > 0 && { 201: left }), 403: 20 - left });
});

test('usage stands beside the limits, counted from the rows, for a project and for all', async (t) => {
  const api = await withApi(t, { callers });
  const pool = { name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [{ address: '192.0.2.1', protocol_port: 80 }] };
  const monitor = { type: 'HTTP', delay: 2, timeout: 1, max_retries: 1 };
  const rules = [{ type: 'PATH', compare_type: 'STARTS_WITH', value: '/x' }];
  const listeners = [{ protocol: 'HTTP', protocol_port: 80, l7policies: [{ action: 'REJECT', rules }] }];
  assert.equal((await create(api, { listeners, pools: [{ ...pool, healthmonitor: monitor }] })).status, 201);
  await api.worker?.drain();
  await setQuota(api, { member: 10, loadbalancer: 0 });
  const unlimited = { limit: -1, used: 1 };
  const expected = {
    project_id: 'p',
    tenant_id: 'p',
    loadbalancer: { limit: 0, used: 1 },
    listener: unlimited,
    member: { limit: 10, used: 1 },
    pool: unlimited,
    healthmonitor: unlimited,
    l7policy: unlimited,
    l7rule: unlimited,
  };
  assert.deepEqual(await usageOf(api), expected);
  await api.act('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: SUBNET } }, as('other'));
  const all = await api.call('GET', '/v2/octavia/quotas', undefined, as('admin'));
  assert.deepEqual(
    all.body.quota_usages.map((each: { project_id: string }) => each.project_id),
    ['p', 'q'],
  );
  assert.deepEqual(all.body.quota_usages[0], expected);
  assert.deepEqual(all.body.quota_usages_links, []);
  const page = await api.call('GET', '/v2/octavia/quotas?limit=1', undefined, as('admin'));
  assert.match(page.body.quota_usages_links[0].href, /\/v2\/octavia\/quotas\?limit=1&marker=p$/u);
  const next = await api.call('GET', '/v2/octavia/quotas?limit=1&marker=p', undefined, as('admin'));
  assert.equal(next.body.quota_usages[0].project_id, 'q');
  const over = await api.call('GET', '/v2/octavia/quotas?over=true', undefined, as('admin'));
  assert.deepEqual(over.body.quota_usages, [expected]);
  assert.equal((await api.call('GET', '/quotas/p/usage', undefined, as('reader'))).status, 200);
  assert.equal((await api.call('GET', '/quotas/p/usage', undefined, as('stranger'))).status, 403);
  assert.equal((await api.call('GET', '/v2/octavia/quotas', undefined, as('member'))).status, 403);
  // The quota itself is as the reference shows it.
  const plain = (await api.call('GET', '/quotas/p', undefined, as('reader'))).body.quota;
  assert.deepEqual([plain.loadbalancer, plain.load_balancer, plain.member], [0, 0, 10]);
});
