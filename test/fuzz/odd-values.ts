/** Values that requests should not have, or just may: what the schema says, its borders, other types, and text that means harm. */
import type { TSchema } from 'typebox';

/** A source of numbers from 0 to below 1. */
export type Random = () => number;

/** One of these. */
export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** An integer from 0 to below `count`. */
export const below = (random: Random, count: number): number => Math.floor(random() * count);

/** True once in so many times. */
export const onceIn = (random: Random, times: number): boolean => random() * times < 1;

/** Ids that the world of the tests knows by name, and some that nobody knows. */
export const knownIds = [
  '<loadbalancer1>',
  '<listener1>',
  '<pool1>',
  '<member1>',
  '<healthmonitor1>',
  '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff',
  'c55e7725-894c-400e-bd00-57a04ae1e676',
  '11111111-1111-4111-8111-111111111111',
];

/** Text with which programs have been attacked, and text that is merely unusual. */
export const hostileTexts = [
  "' OR '1'='1",
  "'; DROP TABLE loadbalancer; --",
  '"; SELECT pg_sleep(5); --',
  '$(reboot)',
  '`id`',
  '; rm -rf /',
  '| cat /etc/passwd',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '${jndi:ldap://127.0.0.1/a}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '%n%s%x%d',
  'a\r\nX-Injected: 1',
  'a\nglobal\n  daemon',
  '\\" http-request deny #',
  'http://127.0.0.1:5555/',
  'file:///etc/passwd',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00\ud800',
  '\u202egnp.exe',
  '\ufeff',
  '\u0130\u0131\u00df\ufb01',
  '👩‍👩‍👧‍👦',
  'é',
  'e\u0301',
  '٣',
  '１２',
];

const texts = ['', ' ', 'x', 'X', '5', '0', '-1', '1.5', 'true', 'false', 'null', 'None', '[]', '{}', 'näme ☃', 'a,b', 'a b', 'a"b', 'a%b'];
const numbers = [0, -0, 1, -1, 2, 5, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 1e21, 1.5, 0.1, -0.5, 1e-7, 1e308];
const addresses = [
  '192.0.2.7',
  '2001:db8::7',
  '2001:DB8::0:7',
  '0.0.0.0',
  '127.0.0.1',
  '255.255.255.255',
  '192.0.2.7/32',
  '::1',
  '::ffff:1.2.3.4',
];

/** A value of any kind; nested no deeper than `depth`. */
export function anyValue(random: Random, depth = 2): unknown {
  switch (below(random, depth > 0 ? 9 : 6)) {
    case 0:
      return pick(random, [null, true, false]);
    case 1:
      return pick(random, numbers);
    case 2:
      return pick(random, texts);
    case 3:
      return pick(random, [...knownIds, ...addresses]);
    case 4:
      return pick(random, hostileTexts);
    case 5:
      return pick(random, ['x', 'é', '☃', '\\', '0']).repeat(pick(random, [16, 255, 256, 1025, 4097]));
    case 6:
      return Array.from({ length: below(random, 3) }, () => anyValue(random, depth - 1));
    case 7:
      return Object.fromEntries(
        Array.from({ length: below(random, 3) }, () => [pick(random, [...texts, 'name', 'id']), anyValue(random, depth - 1)]),
      );
    default:
      return pick(random, [[], {}, [null], [[]], [{}], { id: null }]);
  }
}

type Loose = {
  readonly type?: string;
  readonly anyOf?: readonly Loose[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly format?: string;
  readonly items?: Loose;
};

/** A value near what a schema allows: a word of its list, a border, the right type or almost. */
export function nearValue(random: Random, schema: TSchema): unknown {
  return near(random, schema as Loose);
}

function near(random: Random, schema: Loose): unknown {
  if (schema.anyOf !== undefined) return near(random, pick(random, schema.anyOf));
  if (schema.enum !== undefined) {
    const word = pick(random, schema.enum);
    return typeof word === 'string' && onceIn(random, 6) ? pick(random, [word.toLowerCase(), `${word} `, word.slice(1)]) : word;
  }
  switch (schema.type) {
    case 'null':
      return null;
    case 'boolean':
      return pick<unknown>(random, [true, false, true, false, 'true', 'False', 'yes', 0, 1, 2, '', null]);
    case 'integer':
    case 'number': {
      const borders = [schema.minimum ?? 0, schema.maximum ?? 100];
      const number = pick(random, [...borders.flatMap((each) => [each - 1, each, each + 1]), ...numbers, below(random, 200)]);
      return onceIn(random, 5) ? String(number) : number;
    }
    case 'array':
      return Array.from({ length: below(random, 4) }, () => (onceIn(random, 8) ? anyValue(random, 1) : near(random, schema.items ?? {})));
    case 'string':
      return nearText(random, schema);
    default:
      return anyValue(random, 2);
  }
}

function nearText(random: Random, { format, maxLength }: Loose): unknown {
  if (format === 'uuid')
    return pick(random, [
      ...knownIds,
      ...knownIds,
      '',
      'x',
      '0FF0A0A3-2C09-4DDB-8C3D-1D3F9A1CFFFF',
      '{c55e7725-894c-400e-bd00-57a04ae1e676}',
    ]);
  if (format === 'ip') return pick(random, [...addresses, '', 'x', '1.2.3', '192.0.2.010', 'fe80::1%eth0']);
  if (format === 'cidr')
    return pick(random, ['10.0.0.0/8', '10.0.0.1/8', '10.0.0.1', '2001:db8::/32', '0.0.0.0/0', '::/0', 'x', '10.0.0.0/33', '10.0.0.0/']);
  const limit = maxLength ?? 255;
  const long = [limit - 1, limit, limit + 1].map((length) => pick(random, ['x', 'é']).repeat(Math.max(0, length)));
  return pick(random, [...texts, ...long, ...hostileTexts]);
}
