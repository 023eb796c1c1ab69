/** Lists: filters, tags, fields, sorting, paging. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../src/lib/clock.ts';
import { type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

const five: readonly (readonly [string, readonly string[], boolean, string | null])[] = [
  ['aa', ['red', 'blue'], true, 'x'],
  ['bb', ['red'], true, null],
  ['cc', ['blue', 'green'], false, 'y'],
  ['dd', [], true, null],
  ['ee', ['green'], true, 'x'],
];

async function withFive(t: Parameters<typeof withApi>[0]): Promise<ApiTest & { names(query: string): Promise<string> }> {
  // All are made within one second.
  const api = await withApi(t, { worker: false, parts: () => ({ clock: new FakeClock() }) });
  for (const [name, tags, admin_state_up, description] of five) {
    const body = { project_id: 'p', vip_subnet_id: SUBNET, name, tags, admin_state_up, description };
    assert.equal((await api.call('POST', '/loadbalancers', { loadbalancer: body })).status, 201);
  }
  const names = async (query: string): Promise<string> => {
    const answer = await api.call('GET', `/loadbalancers?project_id=p&${query}`);
    return answer.status === 200 ? answer.body.loadbalancers.map((each: { name: string }) => each.name).join(' ') : String(answer.status);
  };
  return { ...api, names };
}

test('rows are filtered by every attribute, and an unknown or repeated one is refused', async (t) => {
  const { names } = await withFive(t);
  const cases: Readonly<Record<string, string>> = {
    '': 'aa bb cc dd ee',
    'name=cc': 'cc',
    'name=': '',
    'description=x&admin_state_up=true': 'aa ee',
    'admin_state_up=False': 'cc',
    'admin_state_up=nonsense': 'cc',
    [`vip_subnet_id=${SUBNET}`]: 'aa bb cc dd ee',
    'provisioning_status=ACTIVE': '',
    'provider=amphora&name=dd': 'dd',
    'id=x': '',
    'nonsense=1': '400',
    'name=aa&name=bb': '400',
    'listeners=x': '400',
    'vip_port_owned=true': '400',
    'topology=SINGLE': 'aa bb cc dd ee',
    'tenant_id=p': '400',
    'provider=AMPHORA&name=aa': 'aa',
    'name=CC%20': 'cc',
    'admin_state_up=true&admin_state_up=true': 'cc',
    'operating_status=offline&name=aa': 'aa',
    'vip_sg_ids=x': '',
    'additional_vips=x': '400',
    'name=%00': '',
  };
  for (const [query, expected] of Object.entries(cases)) assert.equal(await names(query), expected, query);
});

test('rows are filtered by the tags that they have and have not', async (t) => {
  const { names } = await withFive(t);
  const cases: Readonly<Record<string, string>> = {
    'tags=red': 'aa bb',
    'tags=red,blue': 'aa',
    'tags=red&tags=blue': 'aa',
    'tags-any=red,green': 'aa bb cc ee',
    'not-tags=red,blue': 'bb cc dd ee',
    'not-tags-any=red,blue': 'dd ee',
    'tags=red&not-tags=blue': 'bb',
    'tags-any=red,green&name=ee': 'ee',
    'tags=RED': 'aa bb',
    'not-tags-any=RED,blue': 'dd ee',
    'tags=nothing': '',
  };
  for (const [query, expected] of Object.entries(cases)) assert.equal(await names(query), expected, query);
});

test('rows are sorted by any attribute, NULL first, and an odd key or direction is refused', async (t) => {
  const { names } = await withFive(t);
  const cases: Readonly<Record<string, string>> = {
    'sort=name:desc': 'ee dd cc bb aa',
    'sort=description,name:desc': 'dd bb ee aa cc',
    'sort_key=description,name&sort_dir=desc,desc': 'cc ee aa dd bb',
    'sort=admin_state_up,name:desc': 'cc ee dd bb aa',
    'sort=created_at:desc&fields=name': 'aa bb cc dd ee',
    'sort=nonsense': '400',
    'sort=name:sideways': '400',
    'sort=tags': '400',
    'sort=vip_sg_ids': '400',
  };
  for (const [query, expected] of Object.entries(cases)) assert.equal(await names(query), expected, query);
});

test('pages follow each other by their links, forwards and backwards, also over NULL and equal values', async (t) => {
  const api = await withFive(t);
  for (const sort of ['name', 'description', 'description:desc,name', 'admin_state_up:desc']) {
    const all = await api.names(`sort=${sort}`);
    const seen: string[] = [];
    let path: string | undefined = `/loadbalancers?limit=2&sort=${sort}`;
    let last: string | undefined;
    while (path !== undefined) {
      const page = await api.call('GET', path);
      seen.push(...page.body.loadbalancers.map((each: { name: string }) => each.name));
      const link = page.body.loadbalancers_links.find((each: { rel: string }) => each.rel === 'next');
      last = page.body.loadbalancers_links.find((each: { rel: string }) => each.rel === 'previous')?.href ?? last;
      path = link?.href.replace(/^https?:\/\/[^/]+/u, '');
    }
    assert.equal(seen.join(' '), all, sort);
    const before = await api.call('GET', (last as string).replace(/^https?:\/\/[^/]+/u, ''));
    assert.equal(
      before.body.loadbalancers.map((each: { name: string }) => each.name).join(' '),
      all.split(' ').slice(2, 4).join(' '),
      sort,
    );
  }
});

test('a limit is a number or infinite, and never more than the configured most', async (t) => {
  const { names, call } = await withFive(t);
  assert.equal(await names('limit=2&sort=name'), 'aa bb');
  for (const limit of ['0', '-1', 'infinite', '99999999999999999999']) assert.equal(await names(`limit=${limit}`), 'aa bb cc dd ee', limit);
  for (const limit of ['', 'x', '1.5']) assert.equal(await names(`limit=${limit}`), '400', limit);
  assert.equal(await names('marker=x'), '400');
  const page = await call('GET', '/loadbalancers?limit=5&sort=name', undefined, { host: 'example.test:1234', 'x-unused': '1' }).catch(
    (error: unknown) => error,
  );
  assert.equal((page as { status: number }).status, 403, 'without tokens only loopback names are served');
  const full = await call('GET', '/loadbalancers?limit=5&sort=name', undefined, { host: 'localhost:1234' });
  const { id } = full.body.loadbalancers.at(-1);
  assert.deepEqual(full.body.loadbalancers_links, [
    { rel: 'next', href: `http://localhost:1234/v2/lbaas/loadbalancers?limit=5&sort=name&marker=${id}` },
  ]);
});

test('only the fields that are asked for are shown', async (t) => {
  const { call } = await withFive(t);
  const list = await call('GET', '/loadbalancers?fields=name&fields=tags&name=cc');
  assert.deepEqual(list.body.loadbalancers, [{ name: 'cc', tags: ['blue', 'green'] }]);
  const [{ id }] = (await call('GET', '/loadbalancers?name=aa')).body.loadbalancers;
  assert.deepEqual((await call('GET', `/loadbalancers/${id}?fields=id`)).body, { loadbalancer: { id } });
  assert.deepEqual((await call('GET', `/loadbalancers/${id}?fields=nonsense`)).body, { loadbalancer: {} });
});

test('parts are listed by what they belong to', async (t) => {
  const api = await withApi(t);
  const made: string[] = [];
  for (const name of ['one', 'two']) {
    const pools = [
      { name, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', healthmonitor: { type: 'TCP', delay: 1, timeout: 1, max_retries: 1 } },
    ];
    const body = { project_id: name, vip_subnet_id: SUBNET, pools, listeners: [{ name, protocol: 'TCP', protocol_port: 80 }] };
    made.push((await api.act('POST', '/loadbalancers', { loadbalancer: body })).body.loadbalancer.id);
  }
  const names = async (path: string): Promise<string> => {
    const { body } = await api.call('GET', path);
    return (Object.values(body)[0] as { name: string }[]).map((each) => each.name).join(' ');
  };
  assert.equal(await names(`/listeners?loadbalancer_id=${made[1]}`), 'two');
  assert.equal(await names(`/listeners?load_balancer_id=${made[1]}`), 'two');
  assert.equal(await names('/listeners?protocol_port=80'), 'one two');
  assert.equal(await names('/listeners?protocol_port=x'), '');
  assert.equal(await names(`/pools?loadbalancer_id=${made[0]}`), 'one');
  const [pool] = (await api.call('GET', '/pools?name=two')).body.pools;
  assert.equal(await names(`/pools?healthmonitor_id=${pool.healthmonitor_id}`), 'two');
  assert.equal((await api.call('GET', `/healthmonitors?pool_id=${pool.id}`)).body.healthmonitors.length, 1);
  assert.equal((await api.call('GET', '/pools?listener_id=x')).status, 400);
});
