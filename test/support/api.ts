/** An API for one test: on a database of its own, with a fake network and, unless told, a worker that finishes everything when told. */
import type { TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { createApi } from '../../src/api/app.ts';
import { apiDocument } from '../../src/api/openapi/document.ts';
import { type ApiDeps, type ApiOptions, type ApiProvider, defaultApiOptions } from '../../src/api/deps.ts';
import { createNoopNetwork, type FakeNetwork } from '../../src/cloud/fake/network.ts';
import type { Compute } from '../../src/cloud/compute.ts';
import type { Caller, Identity } from '../../src/cloud/identity.ts';
import type { Database } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { Fault } from '../../src/model/index.ts';
import { amphoraMetadata } from '../../src/providers/amphora/metadata.ts';
import { noopMetadata } from '../../src/providers/noop/provider.ts';
import { type AnswerChecker, createAnswerChecker } from '../contract/openapi-answers.ts';
import { withDatabase } from './database.ts';
import { type InstantWorker, startInstantWorker } from './instant-worker.ts';

/** What a test may choose. */
export type ApiTestOptions = {
  readonly options?: Partial<ApiOptions>;
  readonly network?: FakeNetwork;
  /** A database that is open already, migrated, and closed by the caller; default: one of its own. */
  readonly db?: Database;
  readonly provider?: ApiProvider;
  /** Why the compute service cannot make such an instance. */
  readonly refusalOf?: Compute['findRefusal'];
  readonly healthChecks?: NonNullable<ApiDeps['healthChecks']>;
  readonly audit?: ApiDeps['audit'];
  readonly log?: ApiDeps['log'];
  /** False: nothing is ever carried out. */
  readonly worker?: boolean;
  /** Token → its caller; without it everybody is an administrator and needs no token. */
  readonly callers?: Readonly<Record<string, Partial<Caller>>>;
  /** More parts, built on the test's database. */
  readonly parts?: (db: Database, identity: Identity) => Partial<ApiDeps>;
};

/** A request of a test, and what came back. */
export type ApiTest = {
  readonly app: FastifyInstance;
  readonly db: Database;
  readonly network: FakeNetwork;
  readonly worker: InstantWorker | null;
  call(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<ApiAnswer>;
  /** As `call`, then the worker carries out everything there is to do. */
  act(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
};

/** An answer; `body` is undefined when it is empty. */
// oxlint-disable-next-line typescript/no-explicit-any
export type ApiAnswer = { readonly status: number; readonly headers: Readonly<Record<string, unknown>>; readonly body: any };

const nobody: Caller = {
  user_id: null,
  user_name: null,
  project_id: null,
  domain_id: null,
  roles: [],
  is_admin: false,
  system_scope: false,
};

/** Builds the API; everything ends with the test. Paths of calls are below `/v2/lbaas`, unless they begin with `/v2` or are `/`. */
export async function withApi(t: TestContext, chosen: ApiTestOptions = {}): Promise<ApiTest> {
  const db = chosen.db ?? (await withDatabase(t));
  const network = chosen.network ?? createNoopNetwork();
  const compute = { findRefusal: chosen.refusalOf ?? (async () => null) };
  const provider = { metadata: amphoraMetadata({ compute, catalog: network }), ...(chosen.provider ?? { validate: () => undefined }) };
  const silent: ApiProvider = { ...provider, metadata: noopMetadata };
  const identity = testIdentity(chosen.callers);
  const deps: ApiDeps = {
    db,

    identity,
    catalog: network,
    ports: network,
    providers: new Map([
      ...['amphora', 'octavia'].map((name) => [name, provider] as const),
      ...['noop_driver', 'noop_driver-alt'].map((name) => [name, silent] as const),
    ]),
    options: { ...defaultApiOptions, noauth: chosen.callers === undefined, ...withNoop, ...chosen.options },
    clock: systemClock,
    log: chosen.log ?? silentLogger,
    ...(chosen.audit !== undefined && { audit: chosen.audit }),
    ...(chosen.healthChecks !== undefined && { healthChecks: chosen.healthChecks }),
    ...chosen.parts?.(db, identity),
  };
  const app = createApi(deps);
  const worker = chosen.worker === false ? null : await startInstantWorker(db, { hints: false });
  t.after(async () => {
    await worker?.stop();
    await app.close();
  });
  const call: ApiTest['call'] = async (method, path, body, headers = {}) => {
    const url = path === '/' || path.startsWith('/v2') || path.startsWith('/healthcheck') ? path : `/v2/lbaas${path}`;
    const payload = body === undefined ? {} : { payload: JSON.stringify(body) };
    const answer = await app.inject({
      method,
      url,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...payload,
    });
    const parsed = answer.body === '' ? undefined : parse(answer.body);
    const problem = checker().check(method, url, answer.statusCode, parsed);
    if (problem !== null) throw new Error(`the answer is not as the API is described: ${problem}`);
    return { status: answer.statusCode, headers: answer.headers, body: parsed };
  };
  return {
    app,
    db,
    network,
    worker,
    call,
    act: async (...request) => {
      const answer = await call(...request);
      await worker?.drain();
      return answer;
    },
  };
}

const withNoop: Partial<ApiOptions> = {
  enabled_provider_drivers: {
    amphora: 'The Octavia Amphora driver.',
    octavia: 'Deprecated alias of the Octavia Amphora driver.',
    noop_driver: 'The no-op driver.',
    'noop_driver-alt': 'The no-op driver alt.',
  },
};

let known: AnswerChecker | null = null;

/** Every answer of every test is held against the description of the API. */
function checker(): AnswerChecker {
  known ??= createAnswerChecker(apiDocument());
  return known;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function testIdentity(callers: ApiTestOptions['callers']): Identity {
  return {
    async authenticate(token) {
      if (callers === undefined) return { ...nobody, is_admin: true, roles: ['admin'] };
      const caller = token === undefined ? undefined : callers[token];
      if (caller === undefined) throw new Fault(401, 'The request you have made requires authentication.');
      return { ...nobody, ...caller };
    },
  };
}
