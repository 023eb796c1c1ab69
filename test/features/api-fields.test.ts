/** Fields of listeners, pools and health monitors: what fits together, what null means, what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

async function withLoadBalancer(t: Parameters<typeof withApi>[0]): Promise<{ api: ApiTest; lb: string }> {
  const api = await withApi(t);
  const made = await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET } });
  return { api, lb: made.body.loadbalancer.id };
}

test('two listeners share a port only over different transports', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const post = async (protocol: string, protocol_port = 80) =>
    (await api.act('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol, protocol_port } })).status;
  assert.deepEqual([await post('HTTP'), await post('TCP'), await post('HTTPS'), await post('PROMETHEUS')], [201, 409, 409, 409]);
  assert.deepEqual([await post('UDP'), await post('SCTP'), await post('UDP'), await post('SCTP')], [201, 201, 409, 409]);
});

test('what a listener may carry depends on its protocol', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  let port = 1000;
  const refusal = async (protocol: string, more: Record<string, unknown>): Promise<string> => {
    const answer = await api.act('POST', '/listeners', {
      listener: { loadbalancer_id: lb, protocol, protocol_port: (port += 1), ...more },
    });
    return answer.status === 201 ? 'taken' : `${answer.status} ${answer.body.faultstring}`;
  };
  const headers = { insert_headers: { 'X-Forwarded-For': 'true' } };
  assert.equal(await refusal('HTTP', headers), 'taken');
  assert.equal(await refusal('TCP', headers), '400 insert-headers is not a valid option for a TCP protocol listener.');
  assert.equal(
    await refusal('HTTP', { insert_headers: { 'X-Nothing': 'true' } }),
    "400 dict_keys(['X-Nothing']) is not a valid option for insert_headers",
  );
  assert.match(await refusal('HTTP', { default_tls_container_ref: 'x' }), /not allowed on HTTP protocol listeners/u);
  assert.match(await refusal('SCTP', { default_tls_container_ref: 'x' }), /SCTP protocol listener does not support TLS/u);
  assert.match(await refusal('TERMINATED_HTTPS', {}), /must be provided for TERMINATED_HTTPS/u);
  assert.match(await refusal('HTTP', { hsts_max_age: 5 }), /HSTS feature can only be used/u);
  assert.match(await refusal('HTTP', { client_authentication: 'OPTIONAL' }), /requires a client CA/u);
  assert.match(await refusal('HTTP', { allowed_cidrs: ['2001:db8::/32'] }), /incompatible with all VIPs/u);
  assert.match(await refusal('HTTP', { default_pool_id: SUBNET }), /^404 Pool .* not found\.$/u);
});

test('null brings a default back, absence keeps what is there', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const given = {
    connection_limit: 5,
    timeout_client_data: 1,
    name: 'n',
    description: 'd',
    allowed_cidrs: ['10.0.0.5/8'],
    insert_headers: { 'X-Forwarded-For': 'true' },
  };
  const made = await api.act('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'HTTP', protocol_port: 80, ...given } });
  const path = `/listeners/${made.body.listener.id}`;
  assert.deepEqual(made.body.listener.allowed_cidrs, ['10.0.0.0/8']);
  const kept = (await api.act('PUT', path, { listener: { name: 'm' } })).body.listener;
  assert.deepEqual([kept.name, kept.connection_limit, kept.timeout_client_data, kept.description], ['m', 5, 1, 'd']);
  const cleared = (
    await api.act('PUT', path, {
      listener: {
        connection_limit: null,
        timeout_client_data: null,
        name: null,
        description: null,
        allowed_cidrs: null,
        insert_headers: null,
        admin_state_up: null,
      },
    })
  ).body.listener;
  assert.deepEqual(
    [
      cleared.connection_limit,
      cleared.timeout_client_data,
      cleared.name,
      cleared.description,
      cleared.allowed_cidrs,
      cleared.insert_headers,
      cleared.admin_state_up,
    ],
    [-1, 50_000, '', '', null, {}, false],
  );
});

test('a pool takes the sessions that its protocol has, and gives them up again', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const post = (more: Record<string, unknown>) =>
    api.act('POST', '/pools', { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...more } });
  const made = await post({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'c' } });
  assert.deepEqual(made.body.pool.session_persistence, {
    type: 'APP_COOKIE',
    cookie_name: 'c',
    persistence_timeout: null,
    persistence_granularity: null,
  });
  const path = `/pools/${made.body.pool.id}`;
  const changed = await api.act('PUT', path, { pool: { session_persistence: { cookie_name: 'd' } } });
  assert.deepEqual([changed.body.pool.session_persistence.type, changed.body.pool.session_persistence.cookie_name], ['APP_COOKIE', 'd']);
  assert.equal((await api.act('PUT', path, { pool: { session_persistence: {} } })).status, 400);
  assert.equal((await api.act('PUT', path, { pool: { session_persistence: null } })).body.pool.session_persistence, null);
  assert.equal((await api.act('PUT', path, { pool: { session_persistence: { cookie_name: 'd' } } })).status, 400);
  assert.equal((await api.act('PUT', path, { pool: { lb_algorithm: null } })).status, 400);
  assert.equal((await post({ session_persistence: {} })).status, 400);
  assert.equal((await post({ protocol: 'UDP', session_persistence: { type: 'HTTP_COOKIE' } })).status, 400);
  assert.equal(
    (await post({ loadbalancer_id: null })).body.faultstring,
    'Validation failure: Must provide at least one of: loadbalancer_id, listener_id',
  );
});

test('a pool becomes the default of a listener that has none', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const listener_id = (await api.act('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'HTTP', protocol_port: 80 } })).body
    .listener.id;
  const post = (protocol: string) => api.act('POST', '/pools', { pool: { listener_id, protocol, lb_algorithm: 'ROUND_ROBIN' } });
  assert.match((await post('TCP')).body.faultstring, /'TCP' is invalid while the listener protocol is 'HTTP'/u);
  assert.equal((await post('HTTP')).status, 201);
  assert.deepEqual([(await post('HTTP')).status, (await post('HTTP')).body.faultstring], [409, 'This listener already has a default pool']);
});

test('a pool has one health monitor, whose HTTP fields have defaults and go with HTTP only', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const pool = (await api.act('POST', '/pools', { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } })).body.pool
    .id;
  const post = (more: Record<string, unknown>) =>
    api.act('POST', '/healthmonitors', { healthmonitor: { pool_id: pool, type: 'HTTP', delay: 5, timeout: 3, max_retries: 3, ...more } });
  assert.match(
    (await post({ type: 'TCP', url_path: '/' })).body.faultstring,
    /url_path is not a valid option for health monitors of type TCP/u,
  );
  assert.match((await post({ expected_codes: '2xx' })).body.faultstring, /Value should match the pattern/u);
  assert.match((await post({ url_path: 'x' })).body.faultstring, /Value must be a valid URL Path string/u);
  assert.equal((await post({ delay: null })).body.faultstring, 'None is not a valid option for delay');
  const made = await post({ domain_name: 'www.example.com', http_version: 1.1, expected_codes: '200-204' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual([(await post({})).status, (await post({})).body.faultstring], [409, 'This pool already has a health monitor']);
  const path = `/healthmonitors/${made.body.healthmonitor.id}`;
  const cleared = await api.act('PUT', path, { healthmonitor: { expected_codes: null, url_path: null, max_retries_down: null } });
  assert.deepEqual(
    [cleared.body.healthmonitor.expected_codes, cleared.body.healthmonitor.url_path, cleared.body.healthmonitor.max_retries_down],
    ['200', '/', 3],
  );
  assert.equal((await api.act('PUT', path, { healthmonitor: { http_version: 1.0 } })).status, 400, 'a domain name needs HTTP 1.1');
  assert.equal((await api.act('PUT', path, { healthmonitor: { type: 'TCP' } })).status, 400);
});

test('a member has an address and a port that no other of its pool has', async (t) => {
  const { api, lb } = await withLoadBalancer(t);
  const pool = (await api.act('POST', '/pools', { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } })).body.pool
    .id;
  const post = (more: Record<string, unknown>) =>
    api.act('POST', `/pools/${pool}/members`, { member: { address: '192.0.2.1', protocol_port: 80, ...more } });
  assert.equal((await post({})).status, 201);
  assert.equal((await post({})).body.faultstring, 'Another member on this pool is already using ip 192.0.2.1 on protocol_port 80');
  assert.equal((await post({ protocol_port: 81 })).status, 201);
  assert.equal((await post({ address: '169.254.169.254' })).body.faultstring, '169.254.169.254 is not a valid option for member address');
  for (const address of ['x', '', '192.0.2.0/24', 'fe80::1%eth0', 5]) assert.equal((await post({ address })).status, 400, String(address));
  assert.match((await post({ weight: 257 })).body.faultstring, /lower or equal to 256/u);
  const { members } = (await api.call('GET', `/pools/${pool}/members`)).body;
  const other = (await api.act('POST', '/pools', { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } })).body
    .pool.id;
  assert.equal((await api.call('GET', `/pools/${other}/members/${members[0].id}`)).status, 404, 'a member of another pool');
});
