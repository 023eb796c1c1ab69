import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenerFields, memberFields } from '../../model/index.ts';
import { listReader, objectReader, readBody, type Reader, shapeOf } from './validate.ts';

const listener = objectReader(shapeOf(listenerFields, 'post'));
const member = objectReader(shapeOf(memberFields, 'post'));
const read = (body: unknown, shape: Reader = listener): unknown => readBody(body, 'listener_', 'listener', shape);
const refusal = (body: unknown, shape?: Reader): string => {
  try {
    read(body, shape);
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken';
};
const base = { loadbalancer_id: 'c55e7725-894c-400e-bd00-57a04ae1e676', protocol: 'HTTP', protocol_port: 80 };
const of = (field: string, value: unknown): string => refusal({ listener: { ...base, [field]: value } });

test('a value that is not allowed is refused with the name of its attribute', () => {
  assert.equal(of('name', 5), "Invalid input for field/attribute name. Value: '5'. Value should be string");
  assert.equal(
    of('protocol_port', 0),
    "Invalid input for field/attribute protocol_port. Value: '0'. Value should be greater or equal to 1",
  );
  assert.equal(
    of('protocol_port', 65_536),
    "Invalid input for field/attribute protocol_port. Value: '65536'. Value should be lower or equal to 65535",
  );
  assert.equal(of('default_pool_id', 'x'), "Invalid input for field/attribute default_pool_id. Value: 'x'. Value should be UUID format");
  assert.equal(
    of('allowed_cidrs', ['x']),
    "Invalid input for field/attribute allowed_cidrs. Value: '['x']'. Value should be IPv4 or IPv6 CIDR format",
  );
  assert.match(of('description', 'ä'.repeat(256)), /Value should have a maximum character requirement of 255$/u);
});

test('a value of another type is refused with the whole body as Python would print it', () => {
  assert.equal(
    of('connection_limit', 'x'),
    `Invalid input for field/attribute listener_. Value: '{'listener': {'loadbalancer_id': '${base.loadbalancer_id}', 'protocol': 'HTTP', 'protocol_port': 80, 'connection_limit': 'x'}}'. invalid literal for int() with base 10: 'x'`,
  );
  assert.match(of('admin_state_up', 'maybe'), /Value not an unambiguous boolean: maybe$/u);
  assert.match(of('tags', 'a'), /Value not a valid list: a$/u);
  assert.match(of('insert_headers', []), /Value not a valid dict: \[\]$/u);
});

test('numeric text, fractions and words for booleans are converted', () => {
  const result = read({ listener: { ...base, protocol_port: '80', connection_limit: 1.5, admin_state_up: 'yes', hsts_preload: 0 } });
  assert.deepEqual(result, { ...base, protocol_port: 80, connection_limit: 1, admin_state_up: true, hsts_preload: false });
});

test('host bits of a network are cleared and a lone address becomes a network', () => {
  const result = read({ listener: { ...base, allowed_cidrs: ['10.1.2.3/8', '192.0.2.1', '2001:DB8::1/32'] } }) as {
    allowed_cidrs: string[];
  };
  assert.deepEqual(result.allowed_cidrs, ['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32']);
});

test('an unknown attribute is refused with its path, also inside lists and for names that JavaScript knows', () => {
  assert.equal(of('nonsense', 1), 'Unknown attribute for argument listener_.listener: nonsense');
  assert.equal(refusal(JSON.parse('{"listener": {"__proto__": 1}}')), 'Unknown attribute for argument listener_.listener: __proto__');
  assert.equal(refusal({ listeners: {} }), 'Unknown attribute for argument listener_: listeners');
  const list = objectReader(new Map([['members', { read: listReader(member), mandatory: false }]]));
  assert.equal(
    refusal({ listener: { members: [{ address: '192.0.2.1', protocol_port: 80, x: 1 }] } }, list),
    'Unknown attribute for argument listener_.listener.members: x',
  );
});

test('the first missing mandatory attribute in the order of the fields is named', () => {
  assert.equal(refusal({ listener: {} }), "Invalid input for field/attribute protocol. Value: 'None'. Mandatory field missing.");
});

test('null is taken everywhere, but not inside a list', () => {
  assert.deepEqual(read({ listener: { ...base, name: null, protocol_port: null } }), { ...base, name: null, protocol_port: null });
  assert.match(of('tags', [null]), /Value should be a list without null$/u);
});

test('text that a database cannot keep is refused', () => {
  assert.match(of('name', 'a\u0000b'), /neither NUL nor half a surrogate pair$/u);
  assert.match(of('name', '\ud800'), /neither NUL nor half a surrogate pair$/u);
});
