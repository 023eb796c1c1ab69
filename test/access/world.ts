/** An API with the embedded identity on a port of loopback, users for every column of the matrix, and things in two projects. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { createApi } from '../../src/api/app.ts';
import { defaultApiOptions } from '../../src/api/deps.ts';
import { registerIdentity } from '../../src/api/identity/register.ts';
import { createRouters, findRoute } from '../../src/api/routes.ts';
import { createNoopNetwork } from '../../src/cloud/fake/network.ts';
import { createLocalIdentity, type LocalIdentity } from '../../src/cloud/local/identity.ts';
import type { AuthRequest } from '../../src/cloud/local/identity/login.ts';
import type { Database } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { amphoraMetadata } from '../../src/providers/amphora/metadata.ts';
import { withDatabase } from '../support/database.ts';
import { cheapPasswords, passwords } from '../support/embedded-services.ts';
import { startInstantWorker } from '../support/instant-worker.ts';
import { createMemoryRecordStore } from '../support/record-store.ts';
import { sampleRow } from '../support/rows.ts';
import { things } from './endpoints.ts';
import type { Subject } from './expected.ts';

/** A project that a request is about: that of the callers' tokens, or another. */
export type Where = 'own' | 'other';

/** What came back. */
export type Got = { readonly status: number; readonly body: Readonly<Record<string, never>> | null };

/** The world that the matrix is measured in. */
export type World = {
  readonly project_ids: Readonly<Record<Where, string>>;
  /** A token for a column of the matrix; undefined: none. */
  login(subject: Subject): Promise<string | undefined>;
  /** Sends a request; names in braces stand for things of the project. The worker has carried out what followed. */
  send(token: string | undefined, method: string, path: string, where: Where, body?: unknown): Promise<Got>;
  /** Undoes a success: what was made goes, what was used up is made again when it is next named. */
  undo(method: string, path: string, where: Where, spends: string | undefined, got: Got): Promise<void>;
};

/** Is there anything that answers this? */
export function isServed(method: string, path: string): boolean {
  const full = path.startsWith('/v2') ? path : `/v2/lbaas${path}`;
  return findRoute(createRouters(), method, full.replaceAll(/\?.*$/gu, '').replaceAll(/[{}]/gu, '')).found === 'handler';
}

/** A compute service that has every flavor and zone. */
const boundless = { findRefusal: async () => null };

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const GROUP = '5d2c2c5c-3a86-4f4f-9a8c-7f8f7d6d6d0e';

/** Builds it; everything ends with the test. */
export async function createWorld(t: Pick<TestContext, 'after'>): Promise<World> {
  const db = await withDatabase(t as TestContext);
  const identity = createLocalIdentity({ store: createMemoryRecordStore(), signing_key: randomBytes(32), passwords: cheapPasswords });
  const { project_ids } = await identity.bootstrap(passwords);
  const other = await identity.projects.create({ name: 'other', domain_id: 'default', description: '', enabled: true, tags: [] });
  const network = createNoopNetwork();
  const app = createApi({
    db,
    identity,
    catalog: network,
    ports: network,
    providers: new Map([['amphora', { validate: () => undefined, metadata: amphoraMetadata({ compute: boundless, catalog: network }) }]]),
    options: { ...defaultApiOptions },
    clock: systemClock,
    log: silentLogger,
    plugins: [(scope) => registerIdentity(scope, { identity })],
  });
  const worker = await startInstantWorker(db, { hints: false });
  t.after(async () => {
    await worker.stop();
    await app.close();
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const projects = { own: project_ids.demo, other: other.id };
  const places = createPlaces(
    db,
    base,
    worker.drain,
    projects,
    (await identity.tokens.issue(byPassword('admin', passwords.admin.reveal()), 'x')).token,
  );
  return { project_ids: projects, login: (subject) => login(identity, subject, projects.own), ...places };
}

function byPassword(name: string, password: string, scope: AuthRequest['scope'] = { type: 'default' }): AuthRequest {
  return { methods: [{ method: 'password', user: { name, domain: { name: 'Default' } }, password }], scope };
}

async function login(identity: LocalIdentity, { role, scope }: Subject, project_id: string): Promise<string | undefined> {
  if (scope === 'no token') return undefined;
  const name = `${role}-${scope}`;
  const user = await identity.users.create({
    name,
    domain_id: 'default',
    description: '',
    email: null,
    enabled: true,
    default_project_id: null,
    password: name,
  });
  const { id } = (await identity.roles.list()).find((each) => each.name === role) ?? { id: '' };
  await identity.roles.grant(user.id, id, scope === 'system' ? { type: 'system' } : { type: 'project', id: project_id });
  const wanted = scope === 'project' ? ({ type: scope, project: { id: project_id } } as const) : { type: scope };
  return (await identity.tokens.issue(byPassword(name, name, wanted), 'x')).token;
}

type Places = Pick<World, 'send' | 'undo'>;

function createPlaces(
  db: Database,
  base: string,
  drain: () => Promise<void>,
  projects: Readonly<Record<Where, string>>,
  admin: string,
): Places {
  const ids = new Map<string, string>();
  let count = 1000;
  const request = async (token: string | undefined, method: string, path: string, body?: unknown): Promise<Got> => {
    const answer = await fetch(`${base}${path.startsWith('/v2') ? path : `/v2/lbaas${path}`}`, {
      method,
      headers: { ...(token !== undefined && { 'x-auth-token': token }), ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (method !== 'GET') await drain();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
  };
  const fill = async (text: string, where: Where): Promise<string> => {
    let filled = text;
    for (const [whole, name = ''] of text.matchAll(/\{(\w+)\}/gu)) filled = filled.replace(whole, await idOf(name, where));
    return filled;
  };
  const filledBody = async (body: unknown, where: Where): Promise<unknown> => JSON.parse(await fill(JSON.stringify(body), where));
  const idOf = async (name: string, where: Where): Promise<string> => {
    if (name === 'project') return projects[where];
    if (name === 'n') return String((count += 1));
    if (name === 'subnet') return SUBNET;
    if (name === 'group') return GROUP;
    const kind = name.replace(/^(?:spare|bare|batch|broken)_/u, '');
    const at = things[kind]?.global === true ? name : `${where} ${name}`;
    const known = ids.get(at) ?? (await make(kind, name, where));
    ids.set(at, known);
    return known;
  };
  const make = async (kind: string, name: string, where: Where): Promise<string> => {
    if (kind === 'amphora')
      return insertAmphora(db, await idOf('loadbalancer', where), await idOf('listener', where), name === 'broken_amphora');
    if (kind === 'quota') {
      await request(admin, 'PUT', `/quotas/${projects[where]}`, { quota: { pool: 100 } });
      return projects[where];
    }
    const thing = things[kind];
    if (thing === undefined) throw new Error(`nobody knows how to make ${kind}`);
    const got = await request(admin, 'POST', await fill(thing.path, where), await filledBody(thing.body, where));
    const made = Object.values(got.body ?? {})[0] as Record<string, string> | undefined;
    const id = made?.[thing.key ?? 'id'];
    if (got.status !== 201 || id === undefined) throw new Error(`${kind} was not made: ${got.status} ${JSON.stringify(got.body)}`);
    return id;
  };
  return {
    send: async (token, method, path, where, body) =>
      request(token, method, await fill(path, where), body === undefined ? undefined : await filledBody(body, where)),
    async undo(method, path, where, spends, got) {
      if (spends !== undefined) for (const at of [spends, `${where} ${spends}`]) ids.delete(at);
      if (method !== 'POST') return;
      const made = Object.values(got.body ?? {})[0] as Record<string, string> | undefined;
      const gone = await request(admin, 'DELETE', `${await fill(path, where)}/${made?.['id'] ?? made?.['name'] ?? ''}`);
      if (gone.status !== 204) throw new Error(`${path} could not be undone: ${gone.status} ${JSON.stringify(gone.body)}`);
    },
  };
}

/** An amphora that is there, or failed, with counters for a listener. */
export async function insertAmphora(db: Database, loadbalancer_id: string, listener_id: string, isBroken: boolean): Promise<string> {
  const row = sampleRow('amphora', { loadbalancer_id, status: isBroken ? 'ERROR' : 'ALLOCATED' });
  const counters = { bytes_in: 0, bytes_out: 0, active_connections: 0, total_connections: 0, request_errors: 0 };
  await db.tx(async (tx) => {
    await tx
      .insertInto('amphora')
      .values(row as never)
      .execute();
    await tx
      .insertInto('listener_statistics')
      .values({ amphora_id: row.id, listener_id, ...counters } as never)
      .execute();
  });
  return row.id;
}
