/** What is hardly HTTP, or HTTP that nobody means: every answer is in the form of the service that was asked, and a refusal writes nothing. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { contentHash } from '../fuzz/content-hash.ts';
import { sendRaw } from '../fuzz/raw-requests.ts';
import { firstPasswords, startWholeProgram, type WholeProgram } from '../fuzz/program.ts';
import type { Database } from '../../src/db/database.ts';
import { withDatabase } from '../support/database.ts';
import { fixtureText } from '../support/tls-fixtures.ts';

// oxlint-disable-next-line typescript/no-explicit-any
type Asked = { readonly status: number; readonly headers: Headers; readonly body: Readonly<Record<string, any>> };
type World = { readonly db: Database; readonly program: WholeProgram; ask(method: string, path: string, body?: unknown): Promise<Asked> };

async function withProgram(t: TestContext, isOpen = false): Promise<World> {
  const db = await withDatabase(t);
  const program = await startWholeProgram(db, isOpen);
  t.after(() => program.stop());
  const ask: World['ask'] = async (method, path, body) => {
    const headers = { 'x-auth-token': program.tokens.admin, 'content-type': 'application/json' };
    const answer = await fetch(`${program.base_url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? {} : JSON.parse(text) };
  };
  return { db, program, ask };
}

/** Head and body of the one answer to these bytes. */
async function exchange(
  { base_url }: WholeProgram,
  lines: readonly string[],
): Promise<{ readonly status: number; readonly head: string; readonly body: string }> {
  const { text, statuses } = await sendRaw(base_url, `${lines.join('\r\n')}\r\n\r\n`);
  const cut = text.indexOf('\r\n\r\n');
  return { status: statuses[0] ?? 0, head: text.slice(0, cut), body: text.slice(cut + 4) };
}

const forms: Readonly<Record<string, readonly string[]>> = {
  '/v2/lbaas/pools': ['code', 'description', 'title'],
  '/identity/v3/projects': ['error'],
  '/network/v2.0/ports': ['NeutronError'],
  '/key-manager/v1/secrets': ['code', 'description', 'title'],
};
const namesOf = (body: unknown): string[] => Object.keys(body as object).toSorted();

test('what the server refuses before a service sees it is worded as the service would', async (t) => {
  const { program } = await withProgram(t);
  for (const [path, names] of Object.entries(forms)) {
    const host = 'Host: localhost';
    const odd = [
      { status: 400, lines: [`GET ${path}/%ff HTTP/1.1`, host] },
      { status: 400, lines: [`POST ${path} HTTP/1.1`, host, 'Content-Length: 7', 'Content-Length: 8'] },
      { status: 417, lines: [`GET ${path} HTTP/1.1`, host, 'Expect: miracles'] },
    ];
    for (const { status, lines } of odd) {
      const answer = await exchange(program, lines);
      const told = `${lines[0]}: ${answer.body}`;
      assert.equal(answer.status, status, told);
      assert.deepEqual(namesOf(JSON.parse(/\{.*\}/su.exec(answer.body)?.[0] ?? '{}')), names, told);
      assert.match(answer.head, /\r\nx-openstack-request-id: req-/iu, told);
    }
  }
});

test('where services share paths, each has its own form', async (t) => {
  const { program, ask } = await withProgram(t, true);
  for (const path of ['/v2.0/lbaas/pools/x', '/v2/pools/x', '/v2.0/quotas'])
    assert.deepEqual(namesOf((await ask('PUT', path, {})).body), ['debuginfo', 'faultcode', 'faultstring'], path);
  assert.deepEqual(namesOf((await ask('GET', '/v2.0/ports/x')).body), ['NeutronError']);
  assert.deepEqual(namesOf((await ask('GET', '/v2.0/flavors')).body), ['flavors', 'flavors_links'], 'the flavors of load balancers');
  const broken = await exchange(program, ['GET /v2.0/lbaas/pools/%ff HTTP/1.1', 'Host: localhost']);
  assert.deepEqual(namesOf(JSON.parse(broken.body)), ['code', 'description', 'title']);
});

test('headers that are too long are refused as everything else is, and HEAD gets no body', async (t) => {
  const { program } = await withProgram(t);
  const long = `X-Long: ${'x'.repeat(70_000)}`;
  const answer = await exchange(program, ['GET /network/v2.0/ports HTTP/1.1', 'Host: localhost', long]);
  assert.equal(answer.status, 431);
  assert.deepEqual(namesOf(JSON.parse(answer.body)), ['NeutronError']);
  const many = Array.from({ length: 1500 }, (_none, at) => `X-${at}: 1`);
  for (const headers of [[long], many])
    assert.deepEqual((await exchange(program, ['HEAD /network/v2.0/ports HTTP/1.1', 'Host: localhost', ...headers])).body, '');
});

test('a method that a path does not have is 405 with those that it has', async (t) => {
  const { ask } = await withProgram(t);
  for (const [path, names] of Object.entries(forms))
    for (const method of ['PROPFIND', 'DELETE']) {
      const { status, headers, body } = await ask(method, path);
      // The load-balancer API takes a DELETE without an id for one whose argument is missing.
      if (path.startsWith('/v2') && method === 'DELETE') continue;
      assert.equal(status, 405, `${method} ${path}`);
      assert.match(headers.get('allow') ?? '', /GET.*POST/u, `${method} ${path}`);
      assert.deepEqual(namesOf(body), names);
    }
  assert.equal((await ask('GET', '/network/v2.0/nothing')).status, 404);
});

test('tunnels, and requests without a host, are answered', async (t) => {
  const { program } = await withProgram(t);
  assert.equal((await exchange(program, ['CONNECT localhost:80 HTTP/1.1', 'Host: localhost'])).status, 405);
  const hostless = await exchange(program, ['GET /v2 HTTP/1.1']);
  assert.equal(hostless.status, 400);
  assert.match(hostless.body, /Host/u);
});

test('a client that sends far too much gets to read that it was too much', async (t) => {
  const { program } = await withProgram(t);
  const { hostname, port } = new URL(program.base_url);
  for (const path of Object.keys(forms)) {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.on('error', reject);
      socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20000000\r\n\r\n`);
      // As most clients: everything is written before anything is read.
      socket.pause();
      socket.write(Buffer.alloc(20_000_000, 'x'), () => {
        socket.once('data', (chunk: Buffer) => {
          socket.destroy();
          resolve(chunk.toString());
        });
        socket.resume();
      });
    });
    assert.match(answer, /^HTTP\/1\.1 413 /u, path);
  }
});

test('a refused change of networks writes nothing', async (t) => {
  const { db, program, ask } = await withProgram(t);
  const named = async (kind: string, name: string): Promise<string> =>
    (await ask('GET', `/network/v2.0/${kind}?name=${name}`)).body[kind][0].id;
  const [network_id, subnet_id, external] = [
    await named('networks', 'private'),
    await named('subnets', 'private-subnet'),
    await named('networks', 'public'),
  ];
  const made = (await ask('POST', '/network/v2.0/ports', { port: { network_id } })).body['port'];
  await ask('POST', '/network/v2.0/floatingips', { floatingip: { floating_network_id: external, port_id: made.id } });
  const stranger = program.ids.demo_project;
  const refused: readonly (readonly [string, string, object?])[] = [
    ['DELETE', `/network/v2.0/subnets/${subnet_id}`],
    ['DELETE', `/network/v2.0/networks/${network_id}`],
    [
      'POST',
      '/network/v2.0/floatingips',
      { floatingip: { floating_network_id: external, port_id: made.id, fixed_ip_address: '192.0.2.1' } },
    ],
    ['POST', '/network/v2.0/floatingips', { floatingip: { floating_network_id: external, port_id: made.id } }],
    // Not even the security group that a port of the project would have.
    ['POST', '/network/v2.0/ports', { port: { network_id: external, project_id: stranger } }],
    ['POST', '/network/v2.0/ports', { port: { network_id, project_id: stranger, fixed_ips: [{ ip_address: '192.0.2.1' }] } }],
  ];
  const before = await contentHash(db);
  for (const [method, path, body] of refused) {
    const { status } = await ask(method, path, body);
    assert.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`);
    assert.equal(await contentHash(db), before, `${method} ${path} ${JSON.stringify(body)}`);
  }
});

test('roles may have the names of what every object has', async (t) => {
  const { program, ask } = await withProgram(t);
  for (const name of ['constructor', '__proto__', 'toString']) {
    const made = await ask('POST', '/identity/v3/roles', { role: { name } });
    assert.equal(made.status, 201);
    const { admin_user, admin_project } = program.ids;
    assert.equal(
      (await ask('PUT', `/identity/v3/projects/${admin_project}/users/${admin_user}/roles/${made.body['role'].id}`)).status,
      204,
    );
    assert.equal((await ask('GET', '/identity/v3/role_inferences')).status, 200, name);
    assert.equal((await ask('GET', `/identity/v3/roles/${made.body['role'].id}/implies`)).status, 200, name);
  }
  const user = { name: 'admin', domain: { id: 'default' }, password: firstPasswords.admin };
  assert.equal(
    (await ask('POST', '/identity/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user } } } })).status,
    201,
  );
});

test('a refused listener has not opened its certificate to anybody', async (t) => {
  const { db, program, ask } = await withProgram(t);
  const store = async (payload: string): Promise<string> =>
    (await ask('POST', '/key-manager/v1/secrets', { payload, payload_content_type: 'text/plain' })).body['secret_ref'];
  const secret_refs = [
    { name: 'certificate', secret_ref: await store(fixtureText('ecdsa.crt')) },
    { name: 'private_key', secret_ref: await store(fixtureText('ecdsa.key')) },
  ];
  const container = (await ask('POST', '/key-manager/v1/containers', { type: 'certificate', secret_refs })).body['container_ref'];
  const vip_subnet_id = (await ask('GET', '/network/v2.0/subnets?name=private-subnet')).body['subnets'][0].id;
  // Not the project that has the certificate.
  const loadbalancer = { vip_subnet_id, project_id: program.ids.demo_project };
  const loadbalancer_id = (await ask('POST', '/v2/lbaas/loadbalancers', { loadbalancer })).body['loadbalancer'].id;
  await program.drain();
  const listener = { loadbalancer_id, protocol: 'TERMINATED_HTTPS', protocol_port: 443, default_tls_container_ref: container };
  const before = await contentHash(db);
  const refused = [
    { path: 'listeners', body: { listener: { ...listener, client_ca_tls_container_ref: 'nowhere' } } },
    { path: 'listeners', body: { listener: { ...listener, default_pool_id: loadbalancer_id } } },
    // The address is the gateway's: the network refuses after the rows were written.
    {
      path: 'loadbalancers',
      body: { loadbalancer: { ...loadbalancer, vip_address: '198.18.1.1', listeners: [{ ...listener, loadbalancer_id: undefined }] } },
    },
  ];
  for (const { path, body } of refused) {
    const { status } = await ask('POST', `/v2/lbaas/${path}`, body);
    assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    assert.equal(await contentHash(db), before, JSON.stringify(body));
  }
  assert.equal((await ask('POST', '/v2/lbaas/listeners', { listener })).status, 201);
  const grants = await db.read.selectFrom('embedded_record').select('project_id').where('kind', '=', 'secrets.grant').execute();
  assert.ok(grants.length > 0 && grants.every(({ project_id }) => project_id === program.ids.demo_project));
});
