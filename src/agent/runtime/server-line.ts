/** A `server` line of a backend: what of it commands can change while HAProxy runs, and what only a new server or a reload can. Pure. */

import { withoutVersions } from './words.ts';

/** A server as a configuration has it. */
export type ServerLine = {
  readonly name: string;
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly is_disabled: boolean;
  readonly has_check: boolean;
  /** Where it is probed instead of its own address and port; null: there. */
  readonly check_addr: string | null;
  readonly check_port: number | null;
  /** Address and words that no command can change, for comparing: equal texts are the same server. */
  readonly fixed: string;
  /** The words after the name as `add server` takes them: without `disabled`. */
  readonly words: readonly string[];
  /** A word that `add server` does not take in any version; null: there is none. */
  readonly unknown: string | null;
};

/** Words that HAProxy takes for servers that are added while it runs (2.6 management guide, `add server`), and how many follow each. */
const arities: Readonly<Record<string, number>> = {
  addr: 1,
  'agent-check': 0,
  alpn: 1,
  backup: 0,
  'ca-file': 1,
  check: 0,
  'check-alpn': 1,
  'check-proto': 1,
  'check-send-proxy': 0,
  'check-sni': 1,
  'check-ssl': 0,
  ciphers: 1,
  ciphersuites: 1,
  cookie: 1,
  'crl-file': 1,
  crt: 1,
  disabled: 0,
  downinter: 1,
  fall: 1,
  fastinter: 1,
  id: 1,
  inter: 1,
  maxconn: 1,
  'no-sslv3': 0,
  'no-tlsv10': 0,
  'no-tlsv11': 0,
  'no-tlsv12': 0,
  'no-tlsv13': 0,
  port: 1,
  proto: 1,
  rise: 1,
  'send-proxy': 0,
  'send-proxy-v2': 0,
  'send-proxy-v2-ssl': 0,
  'send-proxy-v2-ssl-cn': 0,
  sni: 1,
  ssl: 0,
  'ssl-max-ver': 1,
  'ssl-min-ver': 1,
  verify: 1,
  weight: 1,
};

/** Words that commands change, or that say the same as one: their absence or value does not make another server. */
const changeable: ReadonlySet<string> = new Set(['weight', 'disabled', 'addr', 'port']);

/** Reads the words of a line (`server name address …`); undefined when it is none of ours. */
export function parseServerLine(tokens: readonly string[]): ServerLine | undefined {
  const [keyword, name, target = '', ...words] = tokens;
  const end = target.lastIndexOf(':');
  const port = Number(target.slice(end + 1));
  if (keyword !== 'server' || name === undefined || end < 1 || !(port > 0)) return undefined;
  const settings = new Map<string, string>();
  let unknown: string | null = null;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const arity = arities[word];
    if (arity === undefined) unknown ??= word;
    settings.set(word, arity === 1 ? (words[index + 1] ?? '') : '');
    index += arity ?? 0;
  }
  const fixed = [...settings].filter(([word]) => !changeable.has(word)).map(([word, value]) => `${word} ${withoutVersions(value)}`);
  return {
    name,
    address: withoutBrackets(target.slice(0, end)),
    port,
    weight: Number(settings.get('weight') ?? 1),
    is_disabled: settings.has('disabled'),
    has_check: settings.has('check'),
    check_addr: settings.has('addr') ? withoutBrackets(settings.get('addr') ?? '') : null,
    check_port: settings.has('port') ? Number(settings.get('port')) : null,
    fixed: [target, ...fixed].join('\n'),
    words: [target, ...words.filter((word) => word !== 'disabled')],
    unknown,
  };
}

/** Are two addresses the same, however they are written? */
export function isSameAddress(one: string, other: string): boolean {
  return one === other || canonical(one) === canonical(other);
}

/** The address of a family that has several spellings in its only one. */
function canonical(address: string): string {
  if (!address.includes(':')) return address;
  try {
    return new URL(`http://[${address}]/`).hostname;
  } catch {
    return address;
  }
}

const withoutBrackets = (address: string): string => address.replaceAll(/^\[|\]$/gu, '');
