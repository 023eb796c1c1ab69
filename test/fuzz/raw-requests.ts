/** Requests that no HTTP library would send: broken lines, lengths that disagree, several at once, none at all. */
import { connect } from 'node:net';
import { onceIn, pick, type Random } from './odd-values.ts';

/** What came back: the whole text, and the statuses in it. */
export type RawAnswer = { readonly text: string; readonly statuses: readonly number[] };

const CR = '\r\n';

/** A few thousand ways to break the protocol. `token` makes some of them come through. */
export function rawRequest(random: Random, paths: readonly string[], token: string): string {
  const path = pick(random, paths);
  const auth = onceIn(random, 3) ? '' : `x-auth-token: ${token}${CR}`;
  const head = (method: string, more = '', version = 'HTTP/1.1', target = path): string =>
    `${method} ${target} ${version}${CR}host: localhost${CR}${auth}${more}${CR}`;
  const json = `content-type: application/json${CR}`;
  const chunked = `${json}transfer-encoding: chunked${CR}`;
  const body = '{"x":1}';
  const post = head('POST', `${json}content-length: ${body.length}${CR}`) + body;
  return pick(random, [
    () => head(pick(random, ['CONNECT', 'TRACE', 'FOO', 'get', 'GETX', 'PURGE', 'M-SEARCH', 'LINK', 'QUERY', 'PRI', 'X'.repeat(300), ''])),
    () => head('GET', '', pick(random, ['HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTP/', 'http/1.1', ''])),
    () =>
      head(
        'GET',
        '',
        'HTTP/1.1',
        pick(random, [
          '*',
          'http://evil.example/v2',
          '//v2',
          'v2',
          '/\u0000',
          '/a b',
          `/${'a'.repeat(70_000)}`,
          '/%',
          '/v2/\u00ff',
          '?',
          '#',
          '/v2#x',
          '/identity/%',
          '/network/v2.0/%ff',
          '/key-manager/%zz',
        ]),
      ),
    () => head('POST', `${json}content-length: 7${CR}content-length: 8${CR}`) + body,
    () => head('POST', `${json}content-length: 7${CR}transfer-encoding: chunked${CR}`) + `0${CR}${CR}`,
    () =>
      head('POST', `${json}content-length: ${pick(random, ['-1', 'x', '99999999999999999999', '1e3', '0x7', '+7', '', ' '])}${CR}`) + body,
    () => head('POST', `${json}content-length: 100${CR}`) + body,
    () => head('POST', chunked) + `7${CR}${body}${CR}0${CR}${CR}`,
    () =>
      head('POST', chunked) +
      pick(random, [
        `zz${CR}x`,
        `7${CR}x`,
        `-1${CR}${CR}`,
        `fffffffffffffffff${CR}x`,
        `7;${'x'.repeat(20_000)}${CR}${body}${CR}0${CR}${CR}`,
        `0${CR}a: b${CR}${CR}`,
      ]),
    () =>
      head('POST', `${json}transfer-encoding: ${pick(random, ['gzip', 'gzip, chunked', 'chunked, chunked', 'x', ''])}${CR}`) +
      `0${CR}${CR}`,
    () =>
      head(
        'GET',
        `${pick(random, ['x', 'a b: c', ': x', `a: \u0000`, `a${CR} b`, 'x-auth-token\u0000: y', 'ä: x', 'a: ä', `x: ${'y'.repeat(70_000)}`])}${CR}`,
      ),
    () => head('GET', `host: other${CR}`),
    () => `GET ${path} HTTP/1.1${CR}${CR}`,
    () => `GET ${path}${CR}${CR}`,
    () => `GET ${path} HTTP/1.1\nhost: localhost\n\n`,
    () => head('GET').repeat(pick(random, [2, 20])),
    () => post + head('GET') + post,
    () => head('GET', `expect: ${pick(random, ['100-continue', 'x', ''])}${CR}`),
    () => head('POST', `${json}expect: 100-continue${CR}content-length: 7${CR}`) + body,
    () => head('GET', `connection: upgrade${CR}upgrade: ${pick(random, ['websocket', 'h2c', 'x'])}${CR}`),
    () => `PRI * HTTP/2.0${CR}${CR}SM${CR}${CR}`,
    () => '\u0016\u0003\u0001\u0000\u00a5\u0001',
    () => '\u0000'.repeat(100),
    () => CR.repeat(pick(random, [1, 100])) + head('GET'),
    () => head('GET') + 'x'.repeat(1000),
  ])();
}

/** How long a socket that says nothing is waited for. */
const QUIET_MS = 150;

/** Sends the bytes and collects what comes until the server closes, or says no more. */
export function sendRaw(base_url: string, bytes: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(base_url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    let quiet: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ text, statuses: [...text.matchAll(/(?:^|\}|\r\n|\])HTTP\/1\.[01] (\d{3})/gu)].map(([, status]) => Number(status)) });
    };
    const wait = (): void => {
      clearTimeout(quiet);
      quiet = setTimeout(finish, QUIET_MS);
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      wait();
    });
    socket.on('error', () => undefined);
    socket.on('close', finish);
    socket.write(bytes, 'latin1');
    wait();
  });
}
