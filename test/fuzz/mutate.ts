/** Recorded requests with something changed: a value, a name, the method, the path, a header, or the bytes. */
import { type Exchange, isExchange, readSuites, type Request } from '../conformance/exchange.ts';
import { anyValue, below, hostileTexts, knownIds, onceIn, pick, type Random } from './odd-values.ts';
import { asciiJson, oddHeaders } from './requests.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'FOO'];

/** Every recorded request, its ids replaced by those of the world that the fuzzer makes. */
export function recordedRequests(): Request[] {
  return readSuites().flatMap(({ steps }) => steps.filter(isExchange).map(asOurs));
}

function asOurs({ method, path, headers, data }: Exchange): Request {
  const ours = (text: string): string =>
    text.replaceAll(/<([a-z]\w*?)\d+>/gu, (_whole, kind: string) => (knownIds.includes(`<${kind}1>`) ? `<${kind}1>` : (knownIds[5] ?? '')));
  return { method, path: ours(path), ...(headers && { headers }), ...(data !== undefined && { data: ours(data) }) };
}

/** One of them, changed in one to three ways. */
export function mutatedRequest(random: Random, recorded: readonly Request[]): Request {
  let request = pick(random, recorded);
  for (let ways = 1 + below(random, 3); ways > 0; ways -= 1) request = pick(random, changes)(random, request);
  return request;
}

const changes: readonly ((random: Random, request: Request) => Request)[] = [
  changeBody,
  changeBody,
  changeBody,
  (random, request) => ({ ...request, method: pick(random, METHODS) }),
  (random, request) => ({ ...request, path: changedPath(random, request.path) }),
  (random, request) => ({ ...request, headers: { accept: 'application/json', 'content-type': 'application/json', ...oddHeaders(random) } }),
  (random, request) => (request.data === undefined ? request : { ...request, data: changedBytes(random, request.data) }),
  (random, request) => ({ ...request, data: deepJson(random) }),
];

function changedPath(random: Random, path: string): string {
  const segments = path.split('/');
  const at = 1 + below(random, Math.max(1, segments.length - 1));
  const hostile = encodeURIComponent(pick(random, hostileTexts).toWellFormed());
  const replaced = [
    ...segments.slice(0, at),
    pick(random, [hostile, '', '..', '%00', '%ff', 'x'.repeat(2000), '%2e%2e', '__proto__']),
    ...segments.slice(at + 1),
  ];
  return pick(random, [
    replaced.join('/'),
    `${path}/${hostile}`,
    `${path}${path.includes('?') ? '&' : '?'}${hostile}=${hostile}`,
    `${path}?limit=${hostile}`,
  ]);
}

/** The body with another value, another name, or a name more, somewhere. */
function changeBody(random: Random, request: Request): Request {
  if (request.data === undefined || request.data.length > 10_000) return { ...request, data: asciiJson(anyValue(random)) };
  let body: unknown;
  try {
    body = JSON.parse(request.data);
  } catch {
    return request;
  }
  return { ...request, data: asciiJson(changedValue(random, body)) };
}

function changedValue(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || onceIn(random, 6)) return anyValue(random);
  if (Array.isArray(value)) {
    if (value.length === 0 || onceIn(random, 3)) return [...value, anyValue(random)];
    const at = below(random, value.length);
    return value.map((each, index) => (index === at ? changedValue(random, each) : each));
  }
  const entries = Object.entries(value);
  if (entries.length === 0 || onceIn(random, 8))
    return { ...value, [pick(random, [...hostileTexts, 'id', 'project_id', 'tags'])]: anyValue(random) };
  const at = below(random, entries.length);
  return Object.fromEntries(
    entries.map(([name, each], index) =>
      index === at ? [onceIn(random, 10) ? `${name}x` : name, changedValue(random, each)] : [name, each],
    ),
  );
}

function changedBytes(random: Random, data: string): string {
  const at = below(random, data.length + 1);
  return pick(random, [
    data.slice(0, at),
    `${data.slice(0, at)}${String.fromCharCode(below(random, 256))}${data.slice(at)}`,
    `${data.slice(0, at)}${data.slice(at + 1)}`,
    `${data}${data}`,
    data.replaceAll('"', "'"),
    `\u00ef\u00bb\u00bf${data}`,
  ]);
}

function deepJson(random: Random): string {
  const depth = pick(random, [50, 1000, 20_000]);
  return pick(random, [
    `${'['.repeat(depth)}${']'.repeat(depth)}`,
    `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    `{"pool":${'['.repeat(depth)}`,
    `{"member":{"weight":${'9'.repeat(depth)}}}`,
  ]);
}
