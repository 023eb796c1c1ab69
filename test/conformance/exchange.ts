/**
 * Recorded exchanges: what was asked of a reference installation of this API, in which order, and what it answered. One file of JSON
 * lines for each resource in `exchanges`; whatever differs from run to run has a name instead of its value.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** An answer in normal form: ids are `<name>` or `<uuid>`, times `<time>`, the address of the server `<base>`. */
export type Answer = {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  /** Only those that are part of the API. */
  readonly headers: Readonly<Record<string, string>>;
  readonly request_id: boolean;
  readonly body: unknown;
};

/** A request. Text in `<…>` stands for the id that an earlier answer gave, NONCE for a word drawn for each run. */
export type Request = {
  readonly method: string;
  readonly path: string;
  /** Absent: JSON is accepted and, with a body, sent. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, each character a byte. */
  readonly data?: string;
  /** Name → where in the answer's body the id is that it stands for from now on, such as `loadbalancer.id`. */
  readonly bind?: Readonly<Record<string, string>>;
};

/** A request whose answer counts. */
export type Exchange = Request & {
  /** What it tries; unique in its file. */
  readonly case: string;
  /** The request asks for an order, so the order of the answer counts. */
  readonly ordered?: true;
  readonly answer: Answer;
};

/** What a replay does: ask and compare, ask without looking (to tidy up), or wait until a load balancer is no longer PENDING. */
export type Step = Exchange | Request | { readonly settle: string };

/** True for a step whose answer counts. */
export const isExchange = (step: Step): step is Exchange => 'case' in step;

/** The steps of one resource. */
export type Suite = { readonly name: string; readonly steps: readonly Step[] };

const folder = fileURLToPath(new URL('exchanges', import.meta.url));

/** The order in which they were recorded; what stands nowhere here comes last. */
const order = [
  'protocol',
  'providers',
  'flavors',
  'availability-zones',
  'quotas',
  'load-balancers',
  'lists',
  'listeners',
  'pools',
  'members',
  'health-monitors',
  'l7-policies',
  'single-call-creates',
  'immutability',
  'amphorae',
  'filters',
  'updates',
];

/** Reads the suites with these names, all when there is none. Throws for a name that no file has. */
export function readSuites(names: readonly string[] = []): Suite[] {
  const present = readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => file.slice(0, -6));
  for (const name of names) if (!present.includes(name)) throw new Error(`there is no suite "${name}"; there are ${present.join(', ')}`);
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return present
    .filter((name) => names.length === 0 || names.includes(name))
    .toSorted((one, other) => rank(one) - rank(other))
    .map((name) => ({ name, steps: readLines(readFileSync(join(folder, `${name}.jsonl`), 'utf8')) }));
}

const readLines = (text: string): Step[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Step);

/** Writes a suite that was recorded anew. */
export function writeSuite({ name, steps }: Suite): void {
  writeFileSync(join(folder, `${name}.jsonl`), steps.map((step) => `${JSON.stringify(step)}\n`).join(''));
}
