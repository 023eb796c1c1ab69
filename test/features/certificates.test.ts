/** What listeners and pools may refer to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSecrets } from '../../src/cloud/fake/secrets.ts';
import { withApi } from '../support/api.ts';
import { type KeyManagerWorld, pathOf, store, storeBundle, withKeyManager } from '../support/secrets/key-manager-api.ts';
import { chainUpsideDown, fixtureText } from '../support/tls-fixtures.ts';

async function loadBalancer(w: KeyManagerWorld, token = 'owner'): Promise<string> {
  const body = { loadbalancer: { vip_subnet_id: '11111111-1111-4111-8111-111111111111', project_id: token === 'guest' ? 'p2' : 'p1' } };
  const answer = await w.act('POST', '/loadbalancers', body, { 'x-auth-token': token });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.loadbalancer.id;
}

test('listeners and pools refer to certificates that their authors may read', async (t) => {
  const w = await withKeyManager(t);
  const loadbalancer_id = await loadBalancer(w);
  const listener = async (fields: object, token = 'owner', lb = loadbalancer_id) =>
    w.act(
      'POST',
      '/listeners',
      {
        listener: {
          protocol: 'TERMINATED_HTTPS',
          protocol_port: 1000 + (Math.floor(performance.now() * 1000) % 60_000),
          loadbalancer_id: lb,
          ...fields,
        },
      },
      { 'x-auth-token': token },
    );
  const faulty = async (fields: object, fault: string | RegExp, token?: string, lb?: string): Promise<void> => {
    const answer = await listener(fields, token, lb);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    if (typeof fault === 'string') assert.equal(answer.body.faultstring, fault);
    else assert.match(answer.body.faultstring, fault);
  };
  const [certificate, key] = [await store(w, fixtureText('rsa.crt')), await store(w, fixtureText('rsa-encrypted.key'))];
  const refs = {
    certificate,
    private_key: key,
    private_key_passphrase: await store(w, 'secret'),
    intermediates: await store(w, chainUpsideDown()),
  };
  const secret_refs = Object.entries(refs).map(([name, secret_ref]) => ({ name, secret_ref }));
  const container = String((await w.km('POST', '/v1/containers', { body: { type: 'certificate', secret_refs } })).body.container_ref);
  const [bundle, legacy, locked] = [
    await storeBundle(w, 'ecdsa-modern.p12'),
    await storeBundle(w, 'rsa-legacy.p12'),
    await storeBundle(w, 'rsa-password.p12'),
  ];
  const [ca, crl, strangeCrl] = [
    await store(w, fixtureText('issuer.crt')),
    await store(w, fixtureText('issuer.crl')),
    await store(w, fixtureText('stranger.crl')),
  ];

  const good = await listener({
    default_tls_container_ref: container,
    sni_container_refs: [bundle, legacy],
    client_ca_tls_container_ref: ca,
    client_crl_container_ref: crl,
    client_authentication: 'MANDATORY',
  });
  assert.equal(good.status, 201, JSON.stringify(good.body));
  // A bare UUID and the address of another host name the same secret.
  for (const ref of [bundle.split('/').at(-1), bundle.replace('lb.example:9876', '10.0.0.1')])
    assert.equal((await listener({ default_tls_container_ref: ref })).status, 201);

  const [missing, nobodys] = ['00000000-0000-4000-8000-000000000000', 'http://127.0.0.1:1/v1/secrets/x'];
  await faulty(
    { default_tls_container_ref: missing, sni_container_refs: [bundle, nobodys] },
    `Could not retrieve certificate: ['${nobodys}', '${missing}']`,
  );
  await faulty({ default_tls_container_ref: ca }, `Could not retrieve certificate: ['${ca}']`);
  await faulty(
    { default_tls_container_ref: locked },
    'The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. In addition, make sure it does not require a pass phrase. Error: Invalid password or PKCS12 data',
  );
  const client = { default_tls_container_ref: bundle, client_authentication: 'OPTIONAL' };
  await faulty(
    { ...client, client_ca_tls_container_ref: missing, client_crl_container_ref: nobodys },
    `Could not retrieve certificate: ['${missing}', '${nobodys}']`,
  );
  await faulty(
    { ...client, client_ca_tls_container_ref: crl },
    /^Validation failure: The client authentication CA certificate is invalid\. It must be a valid x509 PEM/u,
  );
  await faulty({ ...client, client_ca_tls_container_ref: ca, client_crl_container_ref: ca }, /certificate revocation list is invalid/u);
  await faulty(
    { ...client, client_ca_tls_container_ref: ca, client_crl_container_ref: strangeCrl },
    'Validation failure: The CRL specified is not valid for client certificate authority reference supplied.',
  );

  // Another project's secret, until it is shared with its user.
  const theirs = await loadBalancer(w, 'guest');
  await faulty({ default_tls_container_ref: bundle }, `Could not retrieve certificate: ['${bundle}']`, 'guest', theirs);
  await w.km('PUT', `${pathOf(bundle)}/acl`, { body: { read: { users: ['guest'] } } });
  assert.equal((await listener({ default_tls_container_ref: bundle }, 'guest', theirs)).status, 201);

  // An update is judged together with what is there already.
  const path = `/listeners/${good.body.listener.id}`;
  const change = (fields: object) => w.act('PUT', path, { listener: fields }, { 'x-auth-token': 'owner' });
  assert.equal((await change({ client_crl_container_ref: strangeCrl })).status, 400);
  assert.equal((await change({ default_tls_container_ref: missing })).body.faultstring, `Could not retrieve certificate: ['${missing}']`);
  assert.equal((await change({ sni_container_refs: [legacy] })).status, 200);
  await w.km('DELETE', pathOf(ca));
  assert.equal((await change({ name: 'other' })).status, 200);

  const pool = (fields: object) =>
    w.act(
      'POST',
      '/pools',
      { pool: { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', loadbalancer_id, tls_enabled: true, ...fields } },
      { 'x-auth-token': 'owner' },
    );
  const authority = await store(w, fixtureText('issuer.crt'));
  assert.equal((await pool({ tls_container_ref: bundle, ca_tls_container_ref: authority, crl_container_ref: crl })).status, 201);
  assert.equal((await pool({ tls_container_ref: missing })).body.faultstring, `Could not retrieve certificate: ['${missing}']`);
  assert.match(
    (await pool({ ca_tls_container_ref: authority, crl_container_ref: strangeCrl })).body.faultstring,
    /CRL specified is not valid/u,
  );
});

test('while the key manager does not answer, a listener with a certificate is to be made later', async (t) => {
  const secrets = new FakeSecrets();
  secrets.isDown = true;
  const api = await withApi(t, { parts: () => ({ secrets }) });
  const body = { loadbalancer: { vip_subnet_id: '11111111-1111-4111-8111-111111111111', project_id: 'p' } };
  const { id } = (await api.act('POST', '/loadbalancers', body)).body.loadbalancer;
  const listener = { protocol: 'TERMINATED_HTTPS', protocol_port: 443, loadbalancer_id: id, default_tls_container_ref: 'x' };
  const answer = await api.act('POST', '/listeners', { listener });
  assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '5']);
});
