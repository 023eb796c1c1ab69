/** TLS, metrics and PING probes on one machine: from secrets in the embedded key manager to handshakes with real amphorae. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { get, getHttp2, shownTo } from '../support/features/clients.ts';
import { startAnswering } from '../support/features/members.ts';
import { makeTestPki, opensslUnavailable, type TestPki } from '../support/features/pki.ts';
import {
  change,
  makeLoadBalancer,
  removeLoadBalancer,
  type Resource,
  type ShownLoadBalancer,
  waitActive,
  waitMember,
} from '../support/load-balancers.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { signIn, startOctavia, until } from '../support/octavia.ts';
import { asMember, openStage, type Stage, vipOf } from '../support/stage.ts';
import { ask, startTraffic } from '../support/traffic.ts';
import { fixture, fixtureText } from '../support/tls-fixtures.ts';

type World = { readonly stage: Stage; readonly pki: TestPki; readonly lb: ShownLoadBalancer; readonly listener: Resource };

/** Stores a secret and answers its reference. */
async function store({ client }: Stage, payload: string | Buffer): Promise<string> {
  const body = Buffer.isBuffer(payload)
    ? { payload: payload.toString('base64'), payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' }
    : { payload, payload_content_type: 'text/plain' };
  return (await client.call<{ secret_ref: string }>('POST', '/key-manager/v1/secrets', body)).secret_ref;
}

/** Stores a certificate and its key as a container of two secrets. */
async function storeContainer(stage: Stage, { chain, key }: { chain: string; key: string }): Promise<string> {
  const [own = '', ...above] = chain.split(/(?<=-----END CERTIFICATE-----\n)/u);
  const refs = {
    certificate: await store(stage, own),
    private_key: await store(stage, key),
    intermediates: await store(stage, above.join('')),
  };
  const secret_refs = Object.entries(refs).map(([name, secret_ref]) => ({ name, secret_ref }));
  const body = { type: 'certificate', secret_refs };
  return (await stage.client.call<{ container_ref: string }>('POST', '/key-manager/v1/containers', body)).container_ref;
}

const pathOf = (ref: string): string => ref.slice(ref.indexOf('/key-manager'));
const https = ({ lb }: World) => ({ address: lb.vip_address, port: 443 });

test('TLS on one machine', { skip: namespacesUnavailable() || opensslUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue, green } = stage;
  const pki = makeTestPki();
  const lb = await makeLoadBalancer(client, {
    name: 'secure',
    vip_subnet_id: subnet.id,
    listeners: [{ name: 'plain', protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'pool' } }],
    pools: [{ name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(blue), asMember(green)] }],
  });
  const default_tls_container_ref = await store(stage, fixture('ecdsa-modern.p12'));
  const fields = {
    name: 'secure',
    loadbalancer_id: lb.id,
    protocol: 'TERMINATED_HTTPS',
    protocol_port: 443,
    default_tls_container_ref,
    sni_container_refs: [await storeContainer(stage, pki.of('rsa.example'))],
    client_ca_tls_container_ref: await store(stage, pki.authorities),
    client_authentication: 'OPTIONAL',
    hsts_max_age: 3600,
    default_pool_id: lb.pools[0]?.id,
  };
  const listener = await change(client, lb.id, 'POST', '/listeners', { listener: fields });
  const world: World = { stage, pki, lb, listener };
  const stories: Readonly<Record<string, (world: World) => Promise<void>>> = {
    'certificates, names, HTTP/2, HSTS and client certificates': serves,
    'keys are in the folder of the amphora alone': hidesKeys,
    'members are spoken to by TLS, and checked': encryptsAgain,
    'metrics have the documented names': measures,
    'members are pinged': pings,
    'another certificate is shown as soon as the listener has it, and the old one goes': renews,
    'a certificate that cannot be loaded fails its listener alone, with a reason': fails,
    'a secret that was deleted goes on in what uses it': outlives,
  };
  for (const [name, tell] of Object.entries(stories)) await t.test(name, () => tell(world));
  await removeLoadBalancer(client, lb.id);
});

async function serves(world: World): Promise<void> {
  const { pki } = world;
  const to = https(world);
  assert.equal((await shownTo(to)).name, 'ec.example');
  assert.equal((await shownTo(to, { servername: 'rsa.example', ca: pki.root })).name, 'rsa.example');
  const { chain: cert, key } = pki.of('client');
  const answer = await get(to, { tls: { cert, key } });
  assert.deepEqual([answer.status, answer.headers['strict-transport-security']], [200, 'max-age=3600']);
  assert.ok(['blue', 'green'].includes(answer.body), answer.body);
  const { chain, key: strange } = pki.of('strange');
  await assert.rejects(get(to, { tls: { cert: chain, key: strange } }));
  assert.equal((await shownTo(to, { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'h2');
  assert.equal((await getHttp2(to).catch((error: unknown) => String(error))).toString().includes('GOAWAY'), false);
}

/** Folders of the amphorae's certificates, seen from the machine. */
function certificateFolders({ octavia }: Stage, lb: ShownLoadBalancer): readonly string[] {
  const instances = join(octavia.state_dir, 'instances');
  return readdirSync(instances, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(`/certs/${lb.id}`))
    .map((path) => join(instances, path));
}

async function hidesKeys({ stage, lb, pki }: World): Promise<void> {
  const [folder = ''] = certificateFolders(stage, lb);
  const files = readdirSync(folder);
  assert.ok(files.length >= 4, files.join());
  for (const name of files) assert.equal((statSync(join(folder, name)).mode & 0o777).toString(8), '600', name);
  assert.equal((statSync(folder).mode & 0o777).toString(8), '700');
  const [, secret = ''] = /KEY-----\n(.{40})/u.exec(pki.of('rsa.example').key) ?? [];
  assert.ok(secret.length === 40 && files.some((name) => readFileSync(join(folder, name), 'utf8').includes(secret)));
  assert.ok(!stage.octavia.output().includes(secret));
  const database = readdirSync(stage.octavia.state_dir).filter((name) => name.startsWith('octavia.db'));
  for (const name of database) assert.ok(!readFileSync(join(stage.octavia.state_dir, name), 'latin1').includes(secret), name);
}

async function encryptsAgain({ stage, lb, pki }: World): Promise<void> {
  const { client, subnet } = stage;
  const kind = { kind: 'https', certificate: pki.of('member'), clientCa: pki.authorities } as const;
  const member = await startAnswering('crypt', subnet.gateway_ip, kind);
  try {
    const { chain, key } = pki.of('client');
    const pool = await change(client, lb.id, 'POST', '/pools', {
      pool: {
        name: 'crypt',
        loadbalancer_id: lb.id,
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        tls_enabled: true,
        tls_container_ref: await storeContainer(stage, { chain, key }),
        ca_tls_container_ref: await store(stage, pki.authorities),
      },
    });
    await change(client, lb.id, 'POST', `/pools/${pool.id}/members`, {
      member: { name: 'crypt', address: subnet.gateway_ip, protocol_port: member.port },
    });
    await change(client, lb.id, 'POST', '/healthmonitors', {
      healthmonitor: { pool_id: pool.id, type: 'HTTPS', delay: 1, timeout: 1, max_retries: 1 },
    });
    const listener = await change(client, lb.id, 'POST', '/listeners', {
      listener: { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 8080, default_pool_id: pool.id },
    });
    await waitMember(client, pool.id, 'crypt', 'ONLINE');
    const { seen } = await get({ address: lb.vip_address, port: 8080 });
    assert.deepEqual([seen.member, seen.tls?.client], ['crypt', 'A client']);
    // Another authority: the member is not certified by it.
    await change(client, lb.id, 'PUT', `/pools/${pool.id}`, { pool: { ca_tls_container_ref: await store(stage, pki.stranger) } });
    assert.equal((await get({ address: lb.vip_address, port: 8080 })).status, 503);
    await change(client, lb.id, 'DELETE', `/listeners/${listener.id}`);
    await change(client, lb.id, 'DELETE', `/pools/${pool.id}`);
  } finally {
    member.close();
  }
}

async function measures({ stage, lb, listener }: World): Promise<void> {
  const { client } = stage;
  const metrics = await change(client, lb.id, 'POST', '/listeners', {
    listener: { loadbalancer_id: lb.id, protocol: 'PROMETHEUS', protocol_port: 9100 },
  });
  const answer = await get({ address: lb.vip_address, port: 9100 }, { path: '/metrics' });
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'text/plain; version=0.0.4']);
  const pool = lb.pools[0]?.id;
  for (const line of [
    /^octavia_loadbalancer_cpu [\d.]+$/mu,
    /^octavia_loadbalancer_memory [\d.]+$/mu,
    /^octavia_loadbalancer_max_connections \d+$/mu,
    new RegExp(`^octavia_listener_bytes_in_total\\{listener="${listener.id}"\\} \\d+$`, 'mu'),
    new RegExp(`^octavia_pool_active_members\\{pool="${pool}:${listener.id}"\\} 2$`, 'mu'),
    new RegExp(`^octavia_member_http_responses_total\\{pool="${pool}:${listener.id}",member="[0-9a-f-]{36}",code="2xx"\\} \\d+$`, 'mu'),
  ])
    assert.match(answer.body, line);
  assert.ok(!/haproxy_|prometheus-exporter/u.test(answer.body));
  const shown = () => client.call<{ listener: Resource }>('GET', `/v2/lbaas/listeners/${metrics.id}`);
  await until(async () => (await shown()).listener.operating_status === 'ONLINE', 'heartbeats count the listener');
  await change(client, lb.id, 'DELETE', `/listeners/${metrics.id}`);
}

async function pings({ stage, lb }: World): Promise<void> {
  const { client, subnet } = stage;
  const pool = await change(client, lb.id, 'POST', '/pools', {
    pool: { name: 'pinged', loadbalancer_id: lb.id, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' },
  });
  const nobody = subnet.cidr.replace(/\.0\/24$/u, '.222');
  for (const [name, address] of [
    ['there', subnet.gateway_ip],
    ['nobody', nobody],
  ] as const)
    await change(client, lb.id, 'POST', `/pools/${pool.id}/members`, { member: { name, address, protocol_port: 9, subnet_id: subnet.id } });
  const listener = await change(client, lb.id, 'POST', '/listeners', {
    listener: { loadbalancer_id: lb.id, protocol: 'TCP', protocol_port: 9, default_pool_id: pool.id },
  });
  await change(client, lb.id, 'POST', '/healthmonitors', {
    healthmonitor: { pool_id: pool.id, type: 'PING', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 },
  });
  await waitMember(client, pool.id, 'nobody', 'ERROR');
  await waitMember(client, pool.id, 'there', 'ONLINE');
  await change(client, lb.id, 'DELETE', `/listeners/${listener.id}`);
  await change(client, lb.id, 'DELETE', `/pools/${pool.id}`);
}

async function renews(world: World): Promise<void> {
  const { stage, lb, listener, pki } = world;
  const { client } = stage;
  const [folder = ''] = certificateFolders(stage, lb);
  const before = readdirSync(folder).filter((name) => name.includes('-default.'));
  assert.equal(before.length, 1);
  const traffic = startTraffic({ after: () => undefined } as never, { ...vipOf(lb), connections: 'fresh' });
  const renewed = await storeContainer(stage, pki.of('both-ec'));
  await change(client, lb.id, 'PUT', `/listeners/${listener.id}`, { listener: { default_tls_container_ref: renewed } });
  assert.equal((await shownTo(https(world))).name, 'both.example');
  const after = readdirSync(folder).filter((name) => name.includes('-default.'));
  assert.equal(after.length, 1);
  assert.notDeepEqual(after, before);
  await traffic.stop();
  assert.deepEqual(traffic.failures(), []);
}

async function outlives(world: World): Promise<void> {
  const { stage, lb, listener } = world;
  const { client, admin } = stage;
  const shown = await client.call<{ listener: { default_tls_container_ref: string } }>('GET', `/v2/lbaas/listeners/${listener.id}`);
  await client.call('DELETE', pathOf(shown.listener.default_tls_container_ref));
  // Controllers that have forgotten what they read, and an amphora that never had it.
  await stage.octavia.stop();
  await stage.octavia.start();
  await change(client, lb.id, 'PUT', `/listeners/${listener.id}`, { listener: { name: 'renamed' } });
  assert.equal((await shownTo(https(world))).name, 'both.example');
  await admin.call('PUT', `/v2/lbaas/loadbalancers/${lb.id}/failover`);
  await waitActive(client, lb.id, 60_000);
  await until(async () => (await ask(vipOf(lb)).catch(() => '')) !== '', 'the new amphora serves', 20_000);
  assert.equal((await shownTo(https(world))).name, 'both.example');
}

async function fails(world: World): Promise<void> {
  const { stage, lb, pki } = world;
  const { client } = stage;
  type Shown = { readonly listener: { readonly id: string; readonly provisioning_status: string; readonly fault?: string } };
  const traffic = startTraffic({ after: () => undefined } as never, { ...vipOf(lb), connections: 'fresh' });
  const weak = await change(client, lb.id, 'POST', '/listeners', {
    listener: {
      loadbalancer_id: lb.id,
      protocol: 'TERMINATED_HTTPS',
      protocol_port: 8443,
      default_tls_container_ref: await storeContainer(stage, pki.of('weak.example')),
    },
  });
  const { listener } = await client.call<Shown>('GET', `/v2/lbaas/listeners/${weak.id}`);
  assert.equal(listener.provisioning_status, 'ERROR');
  assert.match(listener.fault ?? '', /key too small|unable to load/u);
  assert.ok(!listener.fault?.includes('PRIVATE'), listener.fault);
  assert.equal((await shownTo(https(world))).name, 'both.example', 'its sibling goes on');
  // Its owner names a better one.
  const good = await store(stage, fixture('rsa-modern.p12'));
  await change(client, lb.id, 'PUT', `/listeners/${weak.id}`, { listener: { default_tls_container_ref: good } });
  assert.equal((await shownTo({ address: lb.vip_address, port: 8443 })).name, 'rsa.example');
  const mended = await client.call<Shown>('GET', `/v2/lbaas/listeners/${weak.id}`);
  assert.deepEqual([mended.listener.provisioning_status, mended.listener.fault], ['ACTIVE', undefined]);
  await traffic.stop();
  assert.deepEqual(traffic.failures(), []);
}

test('a certificate that is gone, and that no amphora has, fails its listener alone, until it is there again', async (t) => {
  const octavia = await startOctavia(t, {
    env: {
      OS_CONTROLLER_WORKER__AMPHORA_DRIVER: 'amphora_noop_driver',
      OS_CONTROLLER_WORKER__COMPUTE_DRIVER: 'compute_noop_driver',
      OS_CONTROLLER_WORKER__NETWORK_DRIVER: 'network_noop_driver',
      OS_CERTIFICATES__CERT_MANAGER: 'local_cert_manager',
    },
  });
  const folder = join(octavia.state_dir, 'certificates');
  const put = (): void => {
    mkdirSync(folder, { recursive: true });
    for (const ending of ['crt', 'key']) writeFileSync(join(folder, `web.${ending}`), fixtureText(`rsa.${ending}`));
  };
  put();
  const [client, admin] = [await signIn(octavia), await signIn(octavia, 'admin')];
  const listeners = [
    { name: 'plain', protocol: 'HTTP', protocol_port: 80 },
    { name: 'secure', protocol: 'TERMINATED_HTTPS', protocol_port: 443, default_tls_container_ref: 'web' },
  ];
  const lb = await makeLoadBalancer(client, { vip_subnet_id: randomUUID(), listeners });
  type Shown = { readonly id: string; readonly name: string; readonly provisioning_status: string; readonly fault?: string };
  const statuses = async (): Promise<Record<string, Shown>> => {
    const answer = await client.call<{ listeners: Shown[] }>('GET', `/v2/lbaas/listeners?loadbalancer_id=${lb.id}`);
    return Object.fromEntries(answer.listeners.map((each) => [each.name, each]));
  };
  rmSync(folder, { recursive: true });
  await change(client, lb.id, 'PUT', `/listeners/${(await statuses())['secure']?.id}`, { listener: { name: 'secure' } });
  assert.equal((await statuses())['secure']?.provisioning_status, 'ACTIVE', 'the amphora has it');
  await admin.call('PUT', `/v2/lbaas/loadbalancers/${lb.id}/failover`);
  await waitActive(client, lb.id);
  const { plain, secure } = await statuses();
  assert.deepEqual([plain?.provisioning_status, secure?.provisioning_status], ['ACTIVE', 'ERROR']);
  assert.match(secure?.fault ?? '', /web/u);
  put();
  await change(client, lb.id, 'PUT', `/listeners/${secure?.id}`, { listener: { name: 'secure' } });
  assert.deepEqual([(await statuses())['secure']?.provisioning_status, (await statuses())['secure']?.fault], ['ACTIVE', undefined]);
});
