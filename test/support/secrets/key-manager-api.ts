/** The embedded key manager behind its API, with callers of all kinds, beside the load-balancer API. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { registerSecrets } from '../../../src/api/secrets/register.ts';
import type { Caller } from '../../../src/cloud/identity.ts';
import type { KeyManager } from '../../../src/cloud/local/secrets/key-manager.ts';
import { type ApiTest, withApi } from '../api.ts';
import { openTestKeyManager } from './key-manager.ts';
import { fixture } from '../tls-fixtures.ts';

/** An answer of the key manager. */
export type KeyManagerAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly raw: Buffer;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
};
/** Both APIs. */
export type KeyManagerWorld = ApiTest & {
  readonly keyManager: KeyManager;
  km(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; raw?: Buffer; headers?: Record<string, string> },
  ): Promise<KeyManagerAnswer>;
};

const person = (user_id: string, project_id: string, ...roles: string[]): Partial<Caller> => ({ user_id, project_id, roles });
/** Callers by their tokens. */
export const callers = {
  owner: person('owner', 'p1', 'member', 'load-balancer_member'),
  colleague: person('colleague', 'p1', 'member', 'load-balancer_member'),
  creator: person('creator', 'p1', 'creator'),
  observer: person('observer', 'p1', 'observer'),
  auditor: person('auditor', 'p1', 'audit'),
  reader: person('reader', 'p1', 'reader'),
  boss: { ...person('boss', 'p1', 'admin', 'member', 'reader'), is_admin: true },
  nobody: person('nobody', 'p1'),
  guest: person('guest', 'p2', 'member', 'load-balancer_member'),
  root: { ...person('root', 'p2', 'admin', 'member', 'reader'), is_admin: true },
} satisfies Record<string, Partial<Caller>>;

/** Starts both; `open`: without identity, as `auth_strategy = noauth`. */
export async function withKeyManager(t: TestContext, options: { readonly open?: boolean } = {}): Promise<KeyManagerWorld> {
  let keyManager: KeyManager | null = null;
  const api = await withApi(t, {
    ...(options.open === true ? {} : { callers }),
    parts(db, identity) {
      const opened = openTestKeyManager(db);
      keyManager = opened.keyManager;
      const mounted = { keyManager: opened.keyManager, identity };
      return {
        secrets: opened.secrets,
        plugins: [
          (app) => registerSecrets(app, mounted),
          ...(options.open === true ? [(app: ApiTest['app']) => registerSecrets(app, { ...mounted, prefix: '' })] : []),
        ],
      };
    },
  });
  const km: KeyManagerWorld['km'] = async (method, path, { token = 'owner', body, raw, headers = {} } = {}) => {
    const answer = await api.app.inject({
      method: method as 'GET',
      url: `/key-manager${path}`,
      headers: {
        host: 'lb.example:9876',
        'x-auth-token': token,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(raw === undefined ? {} : { payload: raw }),
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    let parsed: unknown;
    try {
      parsed = JSON.parse(answer.body);
    } catch {
      parsed = undefined;
    }
    return { status: answer.statusCode, headers: answer.headers, text: answer.body, raw: answer.rawPayload, body: parsed };
  };
  return { ...api, keyManager: keyManager!, km };
}

/** Where the links in answers begin. */
export const root = 'http://lb.example:9876/key-manager/v1';
/** A reference as a path of this key manager. */
export const pathOf = (ref: unknown): string => String(ref).slice('http://lb.example:9876/key-manager'.length);

/** Stores a text. */
export async function store({ km }: KeyManagerWorld, payload: string, more: object = {}, token = 'owner'): Promise<string> {
  const answer = await km('POST', '/v1/secrets', { token, body: { payload, payload_content_type: 'text/plain', ...more } });
  assert.equal(answer.status, 201, answer.text);
  return String(answer.body.secret_ref);
}

/** Stores a fixture as bytes. */
export const storeBundle = (world: KeyManagerWorld, name: string): Promise<string> =>
  store(world, fixture(name).toString('base64'), { payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' });
