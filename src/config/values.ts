/** Between the text of an option in a file and its value in the program, both ways. */
import { Secret } from '../lib/secret.ts';
import type { HostPort, Option } from './option.ts';

/** A text that is no value of its option; the message goes on after the name: "is not a whole number". */
export class ValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ValueError';
  }
}

/** The value of an option whose references are replaced already. An empty text is null where null is the default. Throws `ValueError`. */
export function parseValue(option: Option, text: string): unknown {
  if (text === '' && option.default === null) return null;
  const value = parsers[option.kind](text);
  if (option.choices !== undefined && !option.choices.includes(text)) throw new ValueError(`is none of ${option.choices.join(', ')}`);
  if (typeof value === 'number') checkRange(option, value);
  return value;
}

function checkRange(option: Option, value: number): void {
  const { min = -Infinity, max = Infinity } = option;
  if (value < min) throw new ValueError(`is less than ${min}`);
  if (value > max) throw new ValueError(`is more than ${max}`);
}

const parsers: Readonly<Record<Option['kind'], (text: string) => unknown>> = {
  string: (text) => text,
  secret: (text) => new Secret(text),
  integer: parseInteger,
  float: parseFloatStrictly,
  boolean: parseBoolean,
  list: parseList,
  dict: parseDict,
  hosts: (text) => parseList(text).map(parseHostPort),
};

function parseInteger(text: string): number {
  const value = Number(text);
  if (!/^[+-]?\d+$/u.test(text) || !Number.isSafeInteger(value)) throw new ValueError('is not a whole number');
  return value;
}

function parseFloatStrictly(text: string): number {
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu.test(text)) throw new ValueError('is not a number');
  return Number(text);
}

function parseBoolean(text: string): boolean {
  const lower = text.toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(lower)) return true;
  if (['false', '0', 'no', 'off'].includes(lower)) return false;
  throw new ValueError('is neither true nor false');
}

function parseList(text: string): string[] {
  const inner = /^\[(?!.*\]:\d).*\]$/su.test(text) ? text.slice(1, -1) : text;
  return inner
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

function parseDict(text: string): Record<string, string> {
  const pairs = parseList(text.replace(/^\{(.*)\}$/su, '$1')).map((pair) => {
    const colon = pair.indexOf(':');
    if (colon < 1) throw new ValueError(`has the part "${pair}" that is not key: text`);
    return [bare(pair.slice(0, colon)), bare(pair.slice(colon + 1))] as const;
  });
  return Object.fromEntries(pairs);
}

function bare(text: string): string {
  return text.trim().replace(/^(['"])(.*)\1$/su, '$2');
}

/** `10.0.0.1:5555`, `name:5555` or `[fd00::1]:5555` (an IPv6 address needs the brackets). Throws `ValueError`. */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([\da-f:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/iu.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) throw new ValueError(`has the part "${text}" that is not host:port`);
  return { host, port };
}

/** The text of a value, as `parseValue` reads it; a secret is revealed. */
export function formatValue(option: Option, value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Secret) return value.reveal();
  if (option.kind === 'list') return (value as readonly string[]).join(', ');
  if (option.kind === 'dict')
    return Object.entries(value as object)
      .map(([key, each]) => `${key}: ${each}`)
      .join(', ');
  if (option.kind === 'hosts') return (value as readonly HostPort[]).map(formatHostPort).join(', ');
  return String(value as string | number | boolean);
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
