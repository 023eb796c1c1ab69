/** What may never be wrong with an answer, whatever was asked. */
import type { Received, Sent } from '../conformance/normal-form.ts';
import { CANARY } from './facade-bodies.ts';
import { serviceOf, type Service } from './routes.ts';

/** Text that only the inside of the program has: stack traces, files, statements, libraries. */
export const leaks: readonly RegExp[] = [
  /\bat [\w.<>]+ \(/u,
  /node_modules|node:internal|file:\/\/\//u,
  /\/(?:src|work|home|tmp|var|usr)\/[\w./-]+\.(?:ts|js|db|sock)/u,
  /\b(?:sqlite|kysely|postgres|fastify|FST_ERR|embedded_record)/iu,
  /\b(?:select|insert into|update \w+ set|delete from)\b[^"]*\b(?:from|values|where)\b/iu,
  /TypeError|RangeError|ReferenceError|SyntaxError|\[object Object\]/u,
  /Unexpected (?:token|end of)|is not valid JSON at|undefined|\bNaN\b/u,
];

/** Statuses that are never right while everything runs. */
const crashes = new Set([0, 500, 502, 503, 504]);

/** What an error may be longer than what it answers. */
const MORE_BYTES = 4096;

/** An exchange, and what in it was secret. */
export type Exchange = { readonly sent: Sent; readonly received: Received; readonly took_ms: number; readonly secrets: readonly string[] };

/** What is wrong with it; `most_ms` is how much work an answer may take. */
export function faultsIn(exchange: Exchange, most_ms: number): string[] {
  const { sent, received, took_ms } = exchange;
  const { status } = received;
  const text = received.body.toString();
  const found: string[] = [];
  if (crashes.has(status)) found.push(`status ${status}`);
  if (took_ms > most_ms) found.push(`took ${Math.round(took_ms)} ms`);
  if (status >= 400) {
    if (sent.method !== 'HEAD') found.push(...formFaults(serviceOf(sent.path), status, received, text));
    const own = ownText(sent);
    const leak = leaks.find((each) => each.test(text) && !each.test(own));
    if (leak !== undefined) found.push(`tells ${String(leak)}`);
    if (received.body.length > 2 * Buffer.byteLength(own) + MORE_BYTES) found.push(`the error is ${received.body.length} bytes long`);
  }
  const secret = toldSecret(exchange, text);
  if (secret !== undefined) found.push(`tells a secret (${secret})`);
  if (status !== 0 && received.headers['x-openstack-request-id'] === undefined && sent.method !== 'OPTIONS') found.push('no request id');
  return found;
}

const has = (body: unknown, ...names: readonly string[]): boolean =>
  typeof body === 'object' && body !== null && Object.keys(body).toSorted().join() === names.toSorted().join();

function isForm(service: Service, status: number, body: Readonly<Record<string, unknown>>): boolean {
  // Tokens are checked by the same middleware everywhere.
  if (status === 401 && has(body, 'error')) return has(body['error'], 'code', 'title', 'message');
  switch (service) {
    case 'identity':
      return has(body, 'error') && has(body['error'], 'code', 'title', 'message');
    case 'network':
      return has(body, 'NeutronError') && has(body['NeutronError'], 'type', 'message', 'detail');
    case 'key-manager':
      return has(body, 'code', 'title', 'description');
    case 'load-balancer':
      return has(body, 'faultcode', 'faultstring', 'debuginfo') || has(body, 'code', 'title', 'description');
  }
}

function formFaults(service: Service, status: number, { headers }: Received, text: string): string[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return [`an error of ${service} that is not JSON`];
  }
  const found: string[] = [];
  if (!isForm(service, status, (body ?? {}) as Readonly<Record<string, unknown>>))
    found.push(`an error that is not in the form of ${service}`);
  if (!String(headers['content-type']).startsWith('application/json')) found.push(`an error of type ${String(headers['content-type'])}`);
  if (status === 405 && headers['allow'] === undefined && service === 'load-balancer') found.push('405 without Allow');
  return found;
}

/** A secret in the body that does not belong there. */
function toldSecret({ sent, received, secrets }: Exchange, text: string): string | undefined {
  const path = sent.path.split('?', 1)[0] ?? '';
  if (/\/key-manager\/v1\/secrets\/[^/]+(?:\/payload)?\/?$/u.test(path) && received.status === 200) return undefined;
  if (/\/application_credentials\/?$/u.test(path) && received.status === 201) return undefined;
  if (text.includes(CANARY)) return 'one that was sent';
  return secrets.some((each) => text.includes(each) && !sent.path.includes(each)) ? 'a token' : undefined;
}

/** What the request itself says may be repeated. */
function ownText({ path, data, headers }: Sent): string {
  const body = data?.toString() ?? '';
  return [path, decoded(path), body, plain(body), ...Object.values(headers)].join('\n');
}

function plain(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body));
  } catch {
    return body;
  }
}

/** Each run of escapes by itself: one that is broken leaves the others readable. */
const decoded = (text: string): string =>
  text.replaceAll(/(?:%[0-9a-f]{2})+/giu, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
