/** Bodies as bytes: numbers that JSON can say and programs cannot, bytes that are no text, depths and lengths. */
import { gzipSync } from 'node:zlib';
import { anyValue, below, hostileTexts, onceIn, pick, type Random } from './odd-values.ts';
import { asciiJson } from './requests.ts';

/** Stands for a value that is written as it is. */
const MARK = '<written as it is>';

const repeated = (open: string, inner: string, close: string, depth: number): string =>
  `${open.repeat(depth)}${inner}${close.repeat(depth)}`;

/** Values in JSON's own writing, which `JSON.stringify` would not write. */
const written: readonly ((random: Random) => string)[] = [
  ...[
    '1e400',
    '-1e400',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775809',
    '-0',
    '0.0',
    '1.0',
    '5.0',
    '1E5',
    '1e-400',
  ].map((text) => () => text),
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\ufeff"',
    '{"__proto__":{"x":1}}',
    '{"a":1,"a":2}',
    '{"constructor":{"prototype":1}}',
  ].map((text) => () => text),
  (random) => '9'.repeat(pick(random, [20, 400, 5000])),
  (random) => `0.${'0'.repeat(pick(random, [20, 400]))}1`,
  (random) => repeated('[', '', ']', pick(random, [50, 101, 1000, 20_000])),
  (random) => repeated('{"a":', '1', '}', pick(random, [50, 99, 1000, 10_000])),
  (random) =>
    JSON.stringify(pick(random, ['x', '1', '\\', '"', ' ', '-', '.', '/', 'a,', '(', '%', '0:']).repeat(pick(random, [300, 5000, 20_000]))),
  (random) => JSON.stringify(pick(random, ['é', '☃', '\u202e', '👩']).repeat(pick(random, [64, 255, 256, 5000]))),
  (random) => JSON.stringify(Array.from({ length: pick(random, [100, 1000, 5000]) }, () => pick(random, [1, 'x', null, {}]))),
  (random) => JSON.stringify(Object.fromEntries(Array.from({ length: pick(random, [100, 3000]) }, (_none, at) => [`k${at}`, at]))),
];

type Path = readonly (string | number)[];

/** Every place in a value that can be replaced. */
function placesIn(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, each]) => placesIn(each, [...at, key]))];
}

function replaced(value: unknown, [first, ...rest]: Path, by: unknown): unknown {
  if (first === undefined) return by;
  const inner = replaced((value as Record<string, unknown>)[first], rest, by);
  if (Array.isArray(value)) return value.map((each, index) => (String(index) === String(first) ? inner : each));
  return { ...(value as object), [first]: inner };
}

/** The body with another value somewhere, as JSON text. */
export function withOddValue(random: Random, body: unknown): string {
  const places = placesIn(body);
  // The body itself and its root are least interesting.
  const at = pick(random, places.length > 2 && !onceIn(random, 20) ? places.slice(2) : places);
  if (onceIn(random, 3)) return asciiJson(replaced(body, at, MARK)).replace(JSON.stringify(MARK), () => pick(random, written)(random));
  return asciiJson(replaced(body, at, onceIn(random, 2) ? pick(random, hostileTexts) : anyValue(random)));
}

/** The body with a member more, or without one. */
export function withOddMember(random: Random, body: unknown): string {
  const objects = placesIn(body).filter((at) => {
    const value = at.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], body);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  });
  if (objects.length === 0) return asciiJson(body);
  const at = pick(random, objects);
  const value = at.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], body) as Record<string, unknown>;
  const keys = Object.keys(value);
  if (onceIn(random, 2) && keys.length > 0) {
    const gone = pick(random, keys);
    return asciiJson(replaced(body, at, Object.fromEntries(Object.entries(value).filter(([key]) => key !== gone))));
  }
  const name = pick(random, [...hostileTexts, 'id', 'tenant_id', 'created_at', 'provisioning_status', 'x'.repeat(5000)]);
  const text = asciiJson(replaced(body, at, MARK));
  const members = asciiJson(value).slice(1, -1);
  const more = `${asciiJson(name)}:${pick(random, written)(random)}`;
  return text.replace(JSON.stringify(MARK), () => `{${[members, more].filter((each) => each !== '').join(',')}}`);
}

/** Longer than any body may be. */
const HUGE = 2_000_000;

/** Bytes that are no such body at all. */
export function oddBytes(random: Random, text: string): Buffer {
  const at = below(random, text.length + 1);
  return pick(random, [
    () => Buffer.alloc(0),
    () =>
      Buffer.from(
        pick(random, [
          '[]',
          '{}',
          'null',
          '5',
          '"x"',
          '[[]]',
          'true',
          ' ',
          '{',
          '}',
          '[1,2',
          '"',
          'NaN',
          '{"a":NaN}',
          "{'a':1}",
          '{"a":1,}',
          '//',
          '\u0000',
        ]),
      ),
    () => Buffer.from(`[${text}]`),
    () => Buffer.from(text.slice(0, at)),
    () =>
      Buffer.concat([
        Buffer.from(text.slice(0, at)),
        Buffer.from([pick(random, [0, 0xff, 0xc0, 0x80, 0xfe, 10])]),
        Buffer.from(text.slice(at)),
      ]),
    () => Buffer.from(`\ufeff${text}`),
    () => Buffer.from(text, 'utf16le'),
    () => gzipSync(text),
    () => Buffer.from(`${text}${text}`),
    () => Buffer.from(repeated('[', '', ']', pick(random, [1000, 50_000]))),
    () => Buffer.from(repeated('{"a":', '1', '}', pick(random, [1000, 15_000]))),
    () => Buffer.from(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`),
    () => Buffer.from(`a=b&c=${encodeURIComponent(text)}`),
    () => (onceIn(random, 6) ? Buffer.from(`{"listener":{"name":"${'x'.repeat(HUGE)}"}}`) : Buffer.from(text)),
    () => (onceIn(random, 6) ? Buffer.from(repeated('[', '', ']', 100_000)) : Buffer.from(text)),
  ])();
}
