import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bridgeName, instanceNamespaces, isStateId, legNames, newStateId, stateNames, wireNames } from './names.ts';

const id = '7d3f6a52-9c54-4f0e-8d6a-0c6f0c1f2a3b';

test('names of interfaces fit into 15 characters and carry the state id', () => {
  const { bridgeSide, farSide } = wireNames('a1b2c3', id);
  const leg = legNames('a1b2c3', { id, is_management: false });
  for (const name of [bridgeName('a1b2c3', id), bridgeSide, farSide, leg.bridgeSide, leg.hostSide]) {
    assert.equal(name.length, 15);
    assert.match(name, /^[a-z]+a1b2c3[a-z2-7]+$/u);
  }
});

test('different ids have different names, and the same id always the same', () => {
  const wires = Array.from({ length: 2000 }, (_, index) => wireNames('a1b2c3', `port-${index}`).bridgeSide);
  assert.equal(new Set(wires).size, wires.length);
  assert.deepEqual(wireNames('a1b2c3', 'port-7'), wireNames('a1b2c3', 'port-7'));
});

test('the leg of the management network is told from others by its name', () => {
  const { tenantLegs, managementLegs } = stateNames('a1b2c3');
  assert.ok(legNames('a1b2c3', { id, is_management: true }).hostSide.startsWith(managementLegs));
  assert.ok(legNames('a1b2c3', { id, is_management: false }).hostSide.startsWith(tenantLegs));
});

test('an instance has two namespaces whose names begin like the state’s', () => {
  assert.deepEqual(instanceNamespaces('a1b2c3', id), { management: 'oct-a1b2c3-7d3f6a529c54', traffic: 'oct-a1b2c3-7d3f6a529c54-t' });
});

test('a state id is six hexadecimal digits, and nothing else is taken for one', () => {
  assert.ok(isStateId(newStateId()));
  for (const text of ['', 'A1B2C3', '../../', 'a1b2c3d', 'a1b2c3\n']) {
    assert.ok(!isStateId(text));
    assert.throws(() => stateNames(text), /not a state id/u);
  }
});
