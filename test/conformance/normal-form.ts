/** Answers in a form that is the same in every run and on every server. */
import { randomBytes } from 'node:crypto';
import type { Answer, Request } from './exchange.ts';

/** A request as it goes over the wire. */
export type Sent = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: Buffer | null;
};

/** An answer as it came over the wire; status 0 is none. */
export type Received = { readonly status: number; readonly headers: Readonly<Record<string, unknown>>; readonly body: Buffer };

/** Sends a request to a server. */
export type Send = (request: Sent) => Promise<Received>;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gu;
const TIME = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)?/gu;
const ADDRESS = /0x[0-9a-f]{8,}/gu;
const ALLOWED = /should be one of: ([A-Za-z0-9_, .-]+)/gu;
const KEPT_HEADERS = ['content-type', 'allow', 'location', 'www-authenticate'];

/** The id that requests use for what does not exist. */
const NONE_ID = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';

/** Ids that requests name themselves: subnets, networks, ports and certificates. */
const FIXED = /^(?:0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1c|c55e7725-894c-400e-bd00-57a04ae1e676|00000000-0000-0000-0000-0|([1-5])\1{7}-\1{4}-)/u;

/** The names of one run: which id each stands for on this server. */
export class Names {
  readonly nonce = randomBytes(4).toString('hex');
  readonly #ids = new Map<string, string>();
  readonly #names = new Map<string, string>();

  /** Lets a name stand for an id; null: what should have been made was not. */
  bind(name: string, id: string | null): void {
    this.#ids.set(name, id ?? NONE_ID);
    if (id !== null) this.#names.set(id, name);
  }

  /** Puts ids in the place of names. */
  fill(text: string): string {
    return text.replaceAll(/<([a-z]\w*\d)>/gu, (_whole, name: string) => this.#ids.get(name) ?? NONE_ID).replaceAll('NONCE', this.nonce);
  }

  /** Puts names in the place of ids, and drops what differs from run to run. */
  normalText(text: string, base_url: string): string {
    return text
      .replaceAll(base_url, '<base>')
      .replaceAll(this.nonce, 'NONCE')
      .replaceAll(UUID, (id) => (FIXED.test(id) ? id : this.#names.has(id) ? `<${this.#names.get(id)}>` : '<uuid>'))
      .replaceAll(TIME, '<time>')
      .replaceAll(ADDRESS, '0x<address>')
      .replaceAll(ALLOWED, sortedWords);
  }
}

/** The reference names the allowed words in an order that changes from process to process. */
const sortedWords = (_whole: string, words: string): string => `should be one of: ${words.split(', ').toSorted().join(', ')}`;

/** A recorded text with the allowed words in the order in which answers have them here. */
export const recordedText = (text: string): string => text.replaceAll(ALLOWED, sortedWords);

/** The request with this run's ids in it. */
export function sentOf(request: Request, names: Names): Sent {
  const { method, path, headers, data } = request;
  const usual = { accept: 'application/json', ...(data !== undefined && { 'content-type': 'application/json' }) };
  return {
    method,
    path: names.fill(path),
    headers: headers ?? usual,
    data: data === undefined ? null : Buffer.from(names.fill(data), 'latin1'),
  };
}

/** Reads a body as JSON; what is none becomes an object that says so. */
export function readBody(body: Buffer): unknown {
  if (body.length === 0) return null;
  const text = body.toString();
  try {
    return JSON.parse(text);
  } catch {
    return { 'not json': text.slice(0, 2000) };
  }
}

/** Lets the names of a request stand for the ids in its answer. */
export function bindNames(request: Request, body: unknown, names: Names): void {
  for (const [name, path] of Object.entries(request.bind ?? {})) {
    let found: unknown = body;
    for (const key of path.split('.')) found = (found as Record<string, unknown> | null | undefined)?.[key];
    names.bind(name, typeof found === 'string' ? found : null);
  }
}

/** The normal form of an answer to a request. */
export function normalForm(request: Request & { readonly ordered?: true }, received: Received, names: Names, base_url: string): Answer {
  const body = readBody(received.body);
  const headers = KEPT_HEADERS.flatMap((name) =>
    received.headers[name] === undefined ? [] : [[name, names.normalText(String(received.headers[name]), base_url)] as const],
  );
  const normal = normalValue(hideDrawn(request, body), (text) => names.normalText(text, base_url), request.ordered === true);
  return {
    status: received.status,
    headers: Object.fromEntries(headers),
    request_id: received.headers['x-openstack-request-id'] !== undefined,
    body: normal,
  };
}

/** A network without tenants draws the network of each subnet, and a subnet when none was asked for. */
function hideDrawn(request: Request, body: unknown): unknown {
  const shown = (body as { loadbalancer?: Record<string, unknown> } | null)?.loadbalancer;
  if (typeof shown !== 'object' || shown === null || request.method !== 'POST' || !shown['vip_subnet_id']) return body;
  return /"vip_subnet_id"/u.test(request.data ?? '') ? body : { loadbalancer: { ...shown, vip_subnet_id: NONE_ID.replaceAll('f', 'e') } };
}

/** The normal form of a value; lists of objects are sorted unless their order counts. */
export function normalValue(value: unknown, textOf: (text: string) => string, isOrdered: boolean): unknown {
  if (typeof value === 'string') return textOf(value);
  if (Array.isArray(value)) {
    const list = value.map((each) => normalValue(each, textOf, isOrdered));
    const isSorted = !isOrdered && list.every((each) => typeof each === 'object' && each !== null && !Array.isArray(each));
    return isSorted ? list.toSorted((one, other) => (canonical(one) < canonical(other) ? -1 : 1)) : list;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      textOf(key),
      key === 'vip_network_id' && typeof each === 'string' && each.length === 36 ? '<uuid>' : normalValue(each, textOf, isOrdered),
    ]),
  );
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : each,
  );
