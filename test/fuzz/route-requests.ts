/** Requests to any route: right ones that name what exists, and ones with something odd in the path, the query, a header or the body. */
import type { Sent } from '../conformance/normal-form.ts';
import { facadeBodies, formBody, CANARY } from './facade-bodies.ts';
import { oddBytes, withOddMember, withOddValue } from './odd-bodies.ts';
import { anyValue, below, hostileTexts, onceIn, pick } from './odd-values.ts';
import { asciiJson, oddHeaders } from './requests.ts';
import { nameOf, type ServedRoute } from './routes.ts';
import { bodyFor, type Maker } from './schema-bodies.ts';

/** The tokens that requests may carry. */
export type Tokens = { readonly admin: string; readonly demo: string };

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'COPY'];

/** A request to the route. `isRight`: nothing odd was put in, though it may still be refused. */
export function requestTo(maker: Maker, route: ServedRoute, tokens: Tokens): { readonly sent: Sent; readonly isRight: boolean } {
  const { random } = maker;
  const isRight = onceIn(random, 2);
  const path = pathOf(maker, route, isRight);
  const body = bodyOf(maker, route, isRight);
  const headers = headersOf(maker, route, tokens, body !== null, isRight);
  const method = !isRight && onceIn(random, 15) ? pick(random, METHODS) : route.method;
  return { sent: { method, path, headers, data: body }, isRight };
}

function pathOf(maker: Maker, { method, path, query, service }: ServedRoute, isRight: boolean): string {
  const { random, known } = maker;
  const filled = known.fill(random, method, path);
  const odd = !isRight && onceIn(random, 6) ? oddPath(maker, filled) : filled;
  const prefixed =
    service === 'load-balancer' && onceIn(random, 5)
      ? odd.replace(/^\/v2(?:\/lbaas)?/u, pick(random, ['/v2.0/lbaas', '/v2.0', '/v2']))
      : odd;
  const usual = path.startsWith('/v2/octavia') || !path.startsWith('/v2') ? odd : prefixed;
  const isAsked = query.length > 0 && !onceIn(random, 3) && (!isRight || method === 'GET' || query.includes('cascade'));
  if (!isAsked && (isRight || !onceIn(random, 12))) return usual;
  return `${usual}?${queryOf(maker, query, isRight)}`;
}

/** One segment of the path is something else. */
function oddPath({ random, known }: Maker, path: string): string {
  const segments = path.split('/');
  const at = 1 + below(random, segments.length - 1);
  const hostile = encodeURIComponent(pick(random, hostileTexts).toWellFormed());
  const segment = pick(random, [
    hostile,
    hostile,
    encodeURIComponent(known.any(random)),
    encodeURIComponent(known.any(random).toUpperCase()),
    '',
    '.',
    '..',
    '%2e%2e',
    '%2F',
    '%00',
    '%ff',
    '%',
    '%c0%af',
    'x'.repeat(pick(random, [64, 65, 300, 5000])),
    `${segments[at] ?? ''}.json`,
    `${segments[at] ?? ''}%00`,
    `${segments[at] ?? ''};a=b`,
    encodeURIComponent('☃'.repeat(100)),
    '00000000-0000-0000-0000-000000000000',
  ]);
  const changed = [...segments.slice(0, at), segment, ...segments.slice(at + 1)].join('/');
  return pick(random, [changed, changed, changed, `${path}/${segment}`, `${path}/`, `/${path}`, `${path}//`]);
}

function queryOf({ random, known }: Maker, names: readonly string[], isRight: boolean): string {
  const special = [
    'limit',
    'marker',
    'sort',
    'sort_key',
    'sort_dir',
    'fields',
    'page_reverse',
    'tags',
    'not-tags-any',
    'project_id',
    'x',
    '__proto__',
  ];
  const args = Array.from({ length: 1 + below(random, isRight ? 2 : 4) }, () => {
    const name = isRight && names.length > 0 ? pick(random, names) : pick(random, [...names, ...special]);
    return `${encodeURIComponent(isRight || !onceIn(random, 20) ? name : pick(random, hostileTexts).toWellFormed())}=${argumentOf(name)}`;
  });
  return args.join('&');

  function argumentOf(name: string): string {
    if (!isRight && onceIn(random, 2))
      return pick(random, [
        encodeURIComponent(String(anyValue(random, 0)).toWellFormed().slice(0, 2000)),
        '%',
        '%ff',
        '%00',
        '+',
        '',
        '&',
        '=',
      ]);
    const word = /limit|offset|bits/u.test(name)
      ? pick(random, ['1', '2', '1000'])
      : /marker|_id$|^id$/u.test(name)
        ? known.any(random)
        : name.startsWith('sort')
          ? pick(random, ['id', 'name', 'name:asc', 'created_at:desc', 'asc', 'desc'])
          : pick(random, ['true', 'false', 'name', 'id', 'a', 'ACTIVE', 'gt:2020-01-01', 'subnet_id=x', 'ip_address=198.18.1.2']);
    return encodeURIComponent(word);
  }
}

const hasBody = (method: string): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH';

function bodyOf(maker: Maker, route: ServedRoute, isRight: boolean): Buffer | null {
  const { random } = maker;
  if (route.path === '/key-manager/v1/secrets/:id' && route.method === 'PUT') {
    const payload = Buffer.from(`${CANARY}${below(random, 1e9)}`);
    return isRight ? payload : oddBytes(random, payload.toString());
  }
  const form = facadeBodies.get(nameOf(route));
  const isNew = route.method === 'POST';
  const right = route.body === undefined ? (form === undefined ? undefined : formBody(maker, form)) : bodyFor(maker, route.body, isNew);
  if (right === undefined) {
    if (isRight || !onceIn(random, hasBody(route.method) ? 2 : 10)) return null;
    return oddBytes(random, asciiJson({ [pick(random, ['listener', 'port', 'x'])]: anyValue(random) }));
  }
  if (isRight) return Buffer.from(asciiJson(right));
  return pick(random, [
    () => Buffer.from(asciiJson(right)),
    () => Buffer.from(withOddValue(random, right)),
    () => Buffer.from(withOddValue(random, right)),
    () => Buffer.from(withOddValue(random, right)),
    () => Buffer.from(withOddMember(random, right)),
    () => oddBytes(random, asciiJson(right)),
  ])();
}

function headersOf(maker: Maker, route: ServedRoute, tokens: Tokens, hasData: boolean, isRight: boolean): Record<string, string> {
  const { random, known } = maker;
  const isPayload = route.path === '/key-manager/v1/secrets/:id' && route.method === 'PUT';
  const type = isPayload ? pick(random, ['text/plain', 'application/octet-stream']) : 'application/json';
  const usual: Record<string, string> = {
    accept: route.path.endsWith('/payload') ? pick(random, ['text/plain', 'application/octet-stream', '*/*']) : 'application/json',
    'x-auth-token': tokens.admin,
    ...(hasData && { 'content-type': type }),
    ...(route.path.endsWith('/auth/tokens') && { 'x-subject-token': known.find(random, 'tokens') ?? tokens.demo }),
    ...(onceIn(random, 8) && { 'openstack-api-version': 'key-manager 1.1' }),
  };
  if (isRight || !onceIn(random, 4)) return usual;
  return pick(random, [
    () => ({ ...usual, 'x-auth-token': tokens.demo }),
    () => ({ ...usual, 'x-auth-token': tokens.demo }),
    () => without(usual, 'x-auth-token'),
    () => ({ ...usual, 'x-auth-token': oddToken(maker, tokens) }),
    () => ({ ...usual, 'x-subject-token': oddToken(maker, tokens) }),
    () => ({ ...usual, ...oddHeaders(random) }),
    () => ({
      ...usual,
      'content-type': pick(random, [
        'text/plain',
        'application/json; charset=latin1',
        'application/xml',
        'multipart/form-data',
        'a/b;'.repeat(500),
        '',
        ';',
        'application/json;',
      ]),
    }),
    () => ({
      ...usual,
      accept: pick(random, ['text/html', '*/*;q=0', 'application/xml', ','.repeat(5000), 'application/json;q=x', '', 'a/'.repeat(3000)]),
    }),
    () => ({ ...usual, 'content-encoding': pick(random, ['gzip', 'br', 'deflate', 'identity', 'base64', 'x'.repeat(300)]) }),
    () => ({
      ...usual,
      'openstack-api-version': pick(random, ['load-balancer 2.0', 'key-manager 99.9', 'key-manager latest', ` ${','.repeat(5000)}`, 'x']),
    }),
    () => ({
      ...usual,
      host: pick(random, ['evil.example', 'a b', '127.0.0.1:99999', '[::1]:80', 'x'.repeat(3000), '"><script>', 'localhost']),
    }),
    () => ({ ...usual, origin: pick(random, ['null', 'http://evil.example', 'file://', 'x']) }),
    () => ({ ...usual, 'x-project-id': pick(random, [known.any(random), '../x', 'x'.repeat(300)]), 'x-roles': 'admin', 'x-user-id': 'x' }),
    () => ({
      ...usual,
      'x-openstack-request-id': 'req-x',
      'x-http-method-override': 'DELETE',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil',
      range: 'bytes=0-1',
      'if-match': '*',
      expect: '100-continue',
    }),
    () => ({ ...usual, 'x-long': 'x'.repeat(pick(random, [8000, 60_000, 70_000])) }),
    () => ({ ...usual, ...Object.fromEntries(Array.from({ length: 1500 }, (_none, at) => [`x-${at}`, '1'])) }),
  ])();
}

function oddToken({ random }: Maker, tokens: Tokens): string {
  const at = below(random, tokens.admin.length);
  return pick(random, [
    `${tokens.admin}x`,
    tokens.admin.slice(0, at),
    `${tokens.admin.slice(0, at)}${tokens.admin[at] === 'A' ? 'B' : 'A'}${tokens.admin.slice(at + 1)}`,
    'x'.repeat(pick(random, [1, 255, 8000])),
    '.'.repeat(1000),
    encodeURI(pick(random, hostileTexts).toWellFormed()),
    ' ',
  ]);
}

function without(headers: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}
