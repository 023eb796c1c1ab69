/** Asks every route of the whole program, rightly and oddly, and judges each answer; a request that was refused has changed nothing. */
import type { Database } from '../../src/db/database.ts';
import { readBody, type Received, type Sent } from '../conformance/normal-form.ts';
import { createSender } from '../conformance/send.ts';
import { seededRandom } from '../crash/seeded-random.ts';
import { clearDatabase, contentHash } from './content-hash.ts';
import { faultsIn } from './judge.ts';
import { Known } from './known.ts';
import { onceIn, type Random } from './odd-values.ts';
import { startWholeProgram, type WholeProgram } from './program.ts';
import { rawRequest, sendRaw } from './raw-requests.ts';
import { requestTo } from './route-requests.ts';
import { nameOf, servedRoutes, type ServedRoute } from './routes.ts';
import { asker, makeWholeWorld } from './whole-world.ts';

/** What is wrong with an answer. */
export type RouteFinding = { readonly what: string; readonly asked: string; readonly answer: string };

/** How often a route was asked, how often with nothing odd, and how often of those with success; the slowest answer of all. */
export type Asked = { readonly route: ServedRoute; asked: number; right: number; accepted: number; slowest_ms: number };

/** What came of it. */
export type RoutesReport = {
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** How many refused requests were looked for traces of. */
  readonly hashed: number;
  readonly routes: ReadonlyMap<string, Asked>;
  readonly findings: readonly RouteFinding[];
};

/** So many accepted changes until everything is removed and made anew, so that they do not pile up. */
const WORLD_CHANGES = 250;

/** One in so many requests is bytes on a socket. */
const RAW_SHARE = 80;

/** A list that makes what is missing: the default security group of the project. */
const MAKING_LIST = /\/network\/v2\.0\/security-groups/u;

const changes = (method: string): boolean => !['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method);

/** Sends `count` requests of this seed to a program on this migrated database; an answer may take `most_ms` of work. */
export async function fuzzRoutes(db: Database, count: number, seed: number, most_ms: number): Promise<RoutesReport> {
  const run = new Run(db, seededRandom(seed), most_ms);
  await run.renew();
  try {
    for (let index = 0; index < count; index += 1) await run.next();
  } finally {
    await run.stop();
  }
  return { requests: count, statuses: run.statuses, hashed: run.hashed, routes: run.routes, findings: run.findings };
}

class Run {
  readonly statuses: Record<string, number> = {};
  readonly routes = new Map<string, Asked>();
  readonly findings: RouteFinding[] = [];
  hashed = 0;
  readonly #known = new Known();
  readonly #db: Database;
  readonly #random: Random;
  readonly #most_ms: number;
  #program: WholeProgram | null = null;
  #sender = createSender('http://127.0.0.1:1');
  #deck: ServedRoute[] = [];
  #served: readonly ServedRoute[] = [];
  #accepted = 0;
  #before = '';

  constructor(db: Database, random: Random, most_ms: number) {
    this.#db = db;
    this.#random = random;
    this.#most_ms = most_ms;
  }

  /** Ends the program, removes everything, and starts another. */
  async renew(): Promise<void> {
    await this.stop();
    await clearDatabase(this.#db);
    const program = await startWholeProgram(this.#db);
    this.#program = program;
    this.#sender = createSender(program.base_url);
    this.#known.reset();
    await makeWholeWorld(program, this.#db, this.#known, asker(this.#sender.send, program.tokens.admin, this.#known));
    this.#known.spareAll([
      '/identity/v3/users',
      '/identity/v3/projects',
      '/identity/v3/domains',
      '/identity/v3/roles',
      '/network/v2.0/networks',
      '/network/v2.0/subnets',
    ]);
    this.#served = servedRoutes(program.registered);
    for (const route of this.#served)
      if (!this.routes.has(nameOf(route))) this.routes.set(nameOf(route), { route, asked: 0, right: 0, accepted: 0, slowest_ms: 0 });
    this.#accepted = 0;
    this.#before = await contentHash(this.#db);
  }

  async stop(): Promise<void> {
    this.#sender.close();
    await this.#program?.stop();
    this.#program = null;
  }

  async next(): Promise<void> {
    const program = this.#program;
    if (program === null) throw new Error('no program runs');
    if (onceIn(this.#random, RAW_SHARE)) return this.#nextRaw(program);
    const route = this.#draw();
    const { sent, isRight } = requestTo({ random: this.#random, known: this.#known }, route, program.tokens);
    // Work, not time: on a machine that does other things, too, every answer may be late. The sender waits for a minute at most.
    const began = process.cpuUsage();
    const received = await this.#sender.send(sent);
    const { user, system } = process.cpuUsage(began);
    const took_ms = (user + system) / 1000;
    this.#count(route, isRight, received, took_ms);
    for (const what of faultsIn({ sent, received, took_ms, secrets: Object.values(program.tokens) }, this.#most_ms))
      this.#find(what, sent, received);
    await this.#after(program, sent, received);
  }

  /** Every route once, those that make something thrice, in a new order each time. */
  #draw(): ServedRoute {
    if (this.#deck.length === 0) {
      const all = this.#served.flatMap((route) => (route.method === 'POST' && !route.refuses ? [route, route, route] : [route]));
      this.#deck = all
        .map((route) => [this.#random(), route] as const)
        .toSorted(([one], [other]) => one - other)
        .map(([, route]) => route);
    }
    return this.#deck.pop() as ServedRoute;
  }

  #count(route: ServedRoute, isRight: boolean, received: Received, took_ms: number): void {
    this.statuses[received.status] = (this.statuses[received.status] ?? 0) + 1;
    const asked = this.routes.get(nameOf(route));
    if (asked === undefined) return;
    asked.asked += 1;
    asked.right += Number(isRight);
    if (isRight && received.status >= 200 && received.status < 400) asked.accepted += 1;
    asked.slowest_ms = Math.max(asked.slowest_ms, took_ms);
  }

  #find(what: string, sent: Sent, received: Received): void {
    const { path, method, headers, data } = sent;
    const shown = Object.entries(headers).map(([name, value]) => `${name}: ${value.slice(0, 80)}`);
    this.findings.push({
      what,
      asked: `${method} ${path.slice(0, 300)}\n  ${shown.join(', ').slice(0, 800)}\n  ${data?.toString().slice(0, 800) ?? ''}`,
      answer: `${received.status} ${received.body.toString().slice(0, 500)}`,
    });
  }

  /** Learns from a success, and looks for traces of a refusal. */
  async #after(program: WholeProgram, sent: Sent, received: Received): Promise<void> {
    const { status } = received;
    const { method, path } = sent;
    if (/\/auth\/tokens/u.test(path)) program.pass(60);
    if (status >= 400) {
      if (changes(method) || onceIn(this.#random, 8))
        await this.#lookForTrace(() => this.#find('a refused request left a trace', sent, received));
      const hasLost = (status === 401 || status === 403) && sent.headers['x-auth-token'] === program.tokens.admin;
      if (hasLost && !(await this.#isAdmin(program))) await this.renew();
      return;
    }
    this.#known.learn(method, path, readBody(received.body));
    const token = received.headers['x-subject-token'];
    if (method === 'POST' && typeof token === 'string') this.#known.add('tokens', token);
    if (!changes(method)) {
      if (MAKING_LIST.test(path)) this.#before = await contentHash(this.#db);
      else if (onceIn(this.#random, 8))
        await this.#lookForTrace(() => this.#find('a request that only reads left a trace', sent, received));
      return;
    }
    await program.drain();
    this.#accepted += 1;
    if (this.#accepted >= WORLD_CHANGES) await this.renew();
    else this.#before = await contentHash(this.#db);
  }

  async #lookForTrace(found: () => void): Promise<void> {
    const after = await contentHash(this.#db);
    this.hashed += 1;
    if (after !== this.#before) found();
    this.#before = after;
  }

  async #isAdmin({ tokens }: WholeProgram): Promise<boolean> {
    const headers = { accept: 'application/json', 'x-auth-token': tokens.admin };
    const sent = { method: 'GET', path: '/identity/v3/role_inferences', headers, data: null };
    const received = await this.#sender.send(sent);
    if (received.status >= 500) this.#find(`status ${received.status}`, sent, received);
    return received.status === 200;
  }

  async #nextRaw(program: WholeProgram): Promise<void> {
    const paths = [
      '/',
      '/v2/lbaas/loadbalancers',
      '/v2/lbaas/quotas/x',
      '/identity/v3/auth/tokens',
      '/network/v2.0/ports',
      '/key-manager/v1/secrets',
      '/x',
    ];
    const bytes = rawRequest(this.#random, paths, program.tokens.admin);
    const { text, statuses } = await sendRaw(program.base_url, bytes);
    const wrong = statuses.find((status) => status >= 500 && status !== 501 && status !== 505);
    const finding = { asked: bytes.slice(0, 400), answer: text.slice(0, 600) };
    if (wrong !== undefined) this.findings.push({ what: `status ${wrong} to raw bytes`, ...finding });
    if (text !== '' && statuses.length === 0) this.findings.push({ what: 'an answer that is none', ...finding });
    this.statuses['raw'] = (this.statuses['raw'] ?? 0) + 1;
    if (statuses.some((status) => status < 300)) {
      await program.drain();
      this.#before = await contentHash(this.#db);
    } else await this.#lookForTrace(() => this.findings.push({ what: 'raw bytes left a trace', ...finding }));
  }
}
