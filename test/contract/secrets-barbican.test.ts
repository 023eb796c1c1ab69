/** A Barbican as controllers see it: our own key manager, over HTTP, is the server. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import Fastify from 'fastify';
import { registerSecrets } from '../../src/api/secrets/register.ts';
import type { Caller } from '../../src/cloud/identity.ts';
import { type BarbicanAccess, createBarbicanSecrets } from '../../src/cloud/openstack/barbican.ts';
import { createHttp } from '../../src/cloud/openstack/http.ts';
import { type SecretReader, type Secrets, UnusableSecret } from '../../src/cloud/secrets.ts';
import { Secret } from '../../src/lib/secret.ts';
import { Fault, Retry } from '../../src/model/index.ts';
import { withDatabase } from '../support/database.ts';
import { openTestKeyManager } from '../support/secrets/key-manager.ts';
import { fixtureText } from '../support/tls-fixtures.ts';
import { type CertificatePieces, secretsContract } from './secrets-contract.ts';

const nobody = { user_name: null, domain_id: null, is_admin: false, system_scope: false };
const callers: Readonly<Record<string, Caller>> = {
  owner: { ...nobody, user_id: 'owner', project_id: 'project', roles: ['member'] },
  guest: { ...nobody, user_id: 'guest', project_id: 'other', roles: ['member'] },
  service: { ...nobody, user_id: 'octavia', project_id: 'service', roles: ['service'] },
  renewed: { ...nobody, user_id: 'octavia', project_id: 'service', roles: ['service'] },
};

type Stage = {
  readonly secrets: Secrets;
  readonly access: { serviceToken: string; next: string; refused: string[]; hasUser: boolean };
  /** A request as a tenant. */
  // oxlint-disable-next-line typescript/no-explicit-any
  ask(method: string, path: string, token: string, body?: unknown): Promise<{ status: number; body: any }>;
  readonly close: () => Promise<void>;
};

async function stage(t: TestContext): Promise<Stage> {
  const { keyManager, store } = openTestKeyManager(await withDatabase(t));
  const app = Fastify({ exposeHeadRoutes: false, routerOptions: { ignoreTrailingSlash: true, querystringParser: () => ({}) } });
  const identity = {
    authenticate: async (token: string | undefined) =>
      callers[token ?? ''] ?? Promise.reject(new Fault(401, 'The request you have made requires authentication.')),
  };
  registerSecrets(app, { keyManager, identity });
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  const access = { serviceToken: 'service', next: 'renewed', refused: [] as string[], hasUser: true };
  const asked: BarbicanAccess = {
    endpoint: async () => `${base}/key-manager/`,
    token: async () => access.serviceToken,
    refuse(token) {
      access.refused.push(token);
      access.serviceToken = access.next;
    },
    user_id: async () => (access.hasUser ? 'octavia' : null),
  };
  const http = createHttp({ cafile: null, insecure: false, connect_timeout_ms: 2000, timeout_ms: 5000 });
  t.after(async () => {
    await http.close();
    await app.close();
  });
  return {
    secrets: createBarbicanSecrets({ access: asked, http, store }),
    access,
    close: () => app.close(),
    async ask(method, path, token, body) {
      const answer = await fetch(`${base}/key-manager/v1${path}`, {
        method,
        headers: {
          'x-auth-token': token,
          'openstack-api-version': 'key-manager 1.1',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
    },
  };
}

const pathOf = (ref: string): string => ref.slice(ref.indexOf('/v1/') + 3);

async function put({ ask }: Stage, payload: Buffer | string, isOpen = true): Promise<string> {
  const body =
    typeof payload === 'string'
      ? { payload, payload_content_type: 'text/plain' }
      : { payload: payload.toString('base64'), payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' };
  const ref = String((await ask('POST', '/secrets', 'owner', body)).body.secret_ref);
  if (isOpen) await ask('PUT', `${pathOf(ref)}/acl`, 'owner', { read: { users: ['octavia'] } });
  return ref;
}

async function putContainer(it: Stage, pieces: CertificatePieces, isOpen = true): Promise<string> {
  const { certificate, key: private_key, intermediates, passphrase: private_key_passphrase } = pieces;
  const secret_refs: object[] = [];
  for (const [name, text] of Object.entries({ certificate, private_key, intermediates, private_key_passphrase }))
    if (text !== undefined) secret_refs.push({ name, secret_ref: await put(it, text, isOpen) });
  const ref = String((await it.ask('POST', '/containers', 'owner', { type: 'certificate', secret_refs })).body.container_ref);
  if (isOpen) await it.ask('PUT', `${pathOf(ref)}/acl`, 'owner', { read: { users: ['octavia'] } });
  return ref;
}

const controller = { by: 'controller', project_id: 'project' } as const;
const as = (token: string, project_id = 'project'): SecretReader => ({
  by: 'caller',
  caller: callers[token]!,
  token: new Secret(token),
  project_id,
});

secretsContract('Barbican', async (t) => {
  const it = await stage(t);
  return {
    secrets: it.secrets,
    reader: controller,
    putPieces: (pieces) => putContainer(it, pieces),
    putPayload: (payload) => put(it, payload),
    putText: (text) => put(it, text),
    remove: async (ref) => void (await it.ask('DELETE', pathOf(ref), 'owner')),
    replacePieces: null,
    breakDown: it.close,
    async consumersOf(ref) {
      const { consumers } = (await it.ask('GET', pathOf(ref), 'owner')).body as { consumers: Record<string, string>[] };
      return consumers.map((each) => each['resource_id'] ?? each['URL']?.split('/').at(-1) ?? '');
    },
  };
});

const notFound = (error: unknown): boolean => error instanceof UnusableSecret && error.why === 'not found';

test('a reference in a request lets the service read it by its ACL, if its author may read it', async (t) => {
  const it = await stage(t);
  const { secrets, ask } = it;
  const ref = await put(it, fixtureText('issuer.crt'), false);
  await assert.rejects(secrets.readAuthorities(ref, controller), notFound);
  await assert.rejects(secrets.readAuthorities(ref, as('guest', 'other')), notFound);
  await assert.rejects(secrets.readAuthorities(ref, controller), notFound);
  await secrets.readAuthorities(ref, as('owner'));
  await secrets.readAuthorities(ref, controller);
  const acl = (await ask('GET', `${pathOf(ref)}/acl`, 'owner')).body.read;
  assert.deepEqual([acl.users, acl['project-access']], [['octavia'], true]);
  // That the service may read it by now opens it to nobody else.
  await assert.rejects(secrets.readAuthorities(ref, as('guest', 'other')), notFound);

  // Who may read, but not change the ACL: what it takes has been done, or it is not to be had.
  await ask('PUT', `${pathOf(ref)}/acl`, 'owner', { read: { users: ['guest'], 'project-access': false } });
  await assert.rejects(secrets.readAuthorities(ref, as('guest', 'other')), notFound);
  await ask('PUT', `${pathOf(ref)}/acl`, 'owner', { read: { users: ['guest', 'octavia'], 'project-access': false } });
  await secrets.readAuthorities(ref, as('guest', 'other'));
  assert.equal((await ask('GET', `${pathOf(ref)}/acl`, 'owner')).body.read['project-access'], false);

  const container = await putContainer(it, { certificate: fixtureText('rsa.crt'), key: fixtureText('rsa.key') }, false);
  await assert.rejects(secrets.readCertificate(container, controller), notFound);
  await secrets.readCertificate(container, as('owner'));
  await secrets.readCertificate(container.split('/').at(-1)!, controller);

  // A container that is shared shares no secret: each in it must be readable by whoever names it.
  await ask('PUT', `${pathOf(container)}/acl`, 'owner', { read: { users: ['guest', 'octavia'] } });
  await assert.rejects(secrets.readCertificate(container, as('guest', 'other')), notFound);
  const { secret_refs } = (await ask('GET', pathOf(container), 'owner')).body as { secret_refs: { secret_ref: string }[] };
  for (const { secret_ref } of secret_refs)
    await ask('PUT', `${pathOf(secret_ref)}/acl`, 'owner', { read: { users: ['guest', 'octavia'] } });
  await secrets.readCertificate(container, as('guest', 'other'));
});

test('a token of the service that was revoked is replaced, and one that is refused again is no reason to give up', async (t) => {
  const it = await stage(t);
  const ref = await put(it, fixtureText('issuer.crt'));
  it.access.serviceToken = 'revoked';
  await it.secrets.readAuthorities(ref, controller);
  assert.deepEqual(it.access.refused, ['revoked']);
  it.access.serviceToken = 'revoked';
  it.access.next = 'revoked';
  await assert.rejects(it.secrets.readAuthorities(ref, controller), Retry);
});

test('a secret without payload is no certificate', async (t) => {
  const it = await stage(t);
  const ref = String((await it.ask('POST', '/secrets', 'owner', { name: 'empty' })).body.secret_ref);
  await assert.rejects(
    it.secrets.readCertificate(ref, as('owner')),
    (error) => error instanceof UnusableSecret && error.why === 'unreadable',
  );
});
