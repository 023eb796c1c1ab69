/** A certificate from `openstack secret store` to the handshake, and what becomes of it when it is deleted. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../src/db/database.ts';
import { change, makeLoadBalancer, removeLoadBalancer, waitActive } from '../support/load-balancers.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { until } from '../support/octavia.ts';
import { asMember, openStage, type Stage } from '../support/stage.ts';
import { chainUpsideDown, fixture, fixtureText } from '../support/tls-fixtures.ts';

const secrets = '/key-manager/v1/secrets';

async function store({ client }: Stage, payload: Buffer | string): Promise<string> {
  const body =
    typeof payload === 'string'
      ? { payload, payload_content_type: 'text/plain' }
      : { payload: payload.toString('base64'), payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' };
  return (await client.call<{ secret_ref: string }>('POST', secrets, body)).secret_ref;
}

async function storeContainer(stage: Stage): Promise<string> {
  const pieces = {
    certificate: fixtureText('rsa.crt'),
    private_key: fixtureText('rsa-encrypted.key'),
    private_key_passphrase: 'secret',
    intermediates: chainUpsideDown(),
  };
  const secret_refs: object[] = [];
  for (const [name, text] of Object.entries(pieces)) secret_refs.push({ name, secret_ref: await store(stage, text) });
  const body = { type: 'certificate', secret_refs };
  return (await stage.client.call<{ container_ref: string }>('POST', '/key-manager/v1/containers', body)).container_ref;
}

/** Asks over TLS and checks the chain against the root; answers whose certificate it was. */
function visit(address: string, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port: 443, servername, ca: fixtureText('root.crt'), agent: false, timeout: 5000 } as const;
    const asking = request(options, (answer) => {
      const { subject } = (answer.socket as import('node:tls').TLSSocket).getPeerCertificate();
      answer
        .resume()
        .once('end', () => (answer.statusCode === 200 ? resolve(String(subject.CN)) : reject(new Error(`status ${answer.statusCode}`))));
    });
    asking
      .once('error', reject)
      .once('timeout', () => asking.destroy(new Error('too slow')))
      .end();
  });
}

const serves = (address: string, name: string): Promise<unknown> =>
  until(async () => (await visit(address, name).catch(() => null)) === name, `${name} is served`, 20_000);

/** Texts by which the private keys would be known: a line of each PEM, and bytes of the middle. */
function tracesOfKeys(): readonly string[] {
  return ['rsa.key', 'ecdsa.key'].flatMap((name) => {
    const der = createPrivateKey(fixture(name)).export({ type: 'pkcs8', format: 'der' });
    const middle = der.subarray(der.length - 60, der.length - 24);
    return [
      fixtureText(name).split('\n')[1] ?? '',
      middle.toString('latin1'),
      middle.toString('hex'),
      middle.toString('base64').slice(0, 46),
    ];
  });
}

function checkNoTraces(stage: Stage): void {
  const { state_dir } = stage.octavia;
  const places = readdirSync(state_dir).filter((name) => name.startsWith('octavia.db'));
  const texts = [stage.octavia.output(), ...places.map((name) => readFileSync(join(state_dir, name), 'latin1'))];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/u.test(name))) {
    try {
      texts.push(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    } catch {
      // It ended meanwhile.
    }
  }
  // They are where they must be, in this form: so they would be found.
  const certificates = readdirSync(join(state_dir, 'instances'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.pem'),
  );
  const inUse = certificates.map((name) => readFileSync(join(state_dir, 'instances', name), 'latin1')).join('');
  for (const name of ['rsa.key', 'ecdsa.key']) assert.ok(inUse.includes(fixtureText(name).split('\n')[1] ?? '?'), name);
  for (const trace of tracesOfKeys()) for (const text of texts) assert.ok(!text.includes(trace), 'a private key is where it must not be');
}

test('a listener serves certificates of the key manager, also after they were deleted', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue } = stage;
  const [container, bundle] = [await storeContainer(stage), await store(stage, fixture('ecdsa-modern.p12'))];
  const listener = {
    name: 'tls',
    protocol: 'TERMINATED_HTTPS',
    protocol_port: 443,
    default_tls_container_ref: container,
    sni_container_refs: [bundle],
    default_pool: { name: 'pool' },
  };
  const pool = { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(blue)] };
  const lb = await makeLoadBalancer(client, { name: 'tls', vip_subnet_id: subnet.id, listeners: [listener], pools: [pool] });
  await serves(lb.vip_address, 'rsa.example');
  await serves(lb.vip_address, 'ec.example');

  const path = `${secrets}/${bundle.split('/').at(-1)}`;
  const { consumers } = await client.call<{ consumers: { resource_id: string }[] }>('GET', `${path}/consumers`);
  assert.deepEqual(
    consumers.map(({ resource_id }) => resource_id),
    [lb.id],
  );
  assert.equal((await client.send('DELETE', path)).status, 204);
  assert.equal((await client.send('GET', path)).status, 404);

  // A change goes by what is there already; a new amphora has nothing, and gets it all the same.
  await change(client, lb.id, 'PUT', `/listeners/${lb.listeners[0]?.id}`, { listener: { timeout_client_data: 40_000 } });
  await serves(lb.vip_address, 'ec.example');
  assert.equal((await stage.admin.send('PUT', `/v2/lbaas/loadbalancers/${lb.id}/failover`)).status, 202);
  await waitActive(client, lb.id, 60_000);
  await serves(lb.vip_address, 'ec.example');
  checkNoTraces(stage);

  // A new use of what was deleted is refused, and with the last old one it is gone for good.
  const again = {
    ...listener,
    name: 'again',
    protocol_port: 444,
    default_pool: undefined,
    default_tls_container_ref: bundle,
    sni_container_refs: [],
    loadbalancer_id: lb.id,
  };
  assert.equal((await client.send('POST', '/v2/lbaas/listeners', { listener: again })).status, 400);
  await change(client, lb.id, 'PUT', `/listeners/${lb.listeners[0]?.id}`, { listener: { sni_container_refs: [] } });
  const db = openDatabase({ url: `sqlite://${join(stage.octavia.state_dir, 'octavia.db')}` });
  t.after(() => db.close());
  const count = async (kind: string): Promise<number> =>
    (await db.read.selectFrom('embedded_record').select('id').where('kind', '=', kind).execute()).length;
  await until(async () => (await count('secrets.retired_secret')) === 0, 'the deleted secret is gone');
  assert.equal(await count('secrets.payload'), 4);
  await removeLoadBalancer(client, lb.id);
  assert.deepEqual([await count('secrets.use'), await count('secrets.consumer')], [0, 0]);
});
