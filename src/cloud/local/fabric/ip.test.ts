import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressLine, gatewayLine } from './fabric.ts';
import { batchText, checkedAddress, checkedInterface, checkedMac, checkedNamespace } from './ip.ts';

test('a line with a break in it is refused, because it would be two commands', () => {
  assert.equal(batchText(['link set lo up', 'link set eth0 up']), 'link set lo up\nlink set eth0 up\n');
  assert.throws(() => batchText(['link set lo up\nnetns delete x']), /not one line/u);
});

test('only addresses, hardware addresses and names become part of a line', () => {
  assert.equal(addressLine('198.18.0.5', 24, 'eth0'), 'address replace 198.18.0.5/24 dev eth0');
  assert.equal(addressLine('fd00::5', 64, 'eth0'), 'address replace fd00::5/64 dev eth0 nodad');
  assert.equal(gatewayLine('fd00::1', 'eth0'), 'route replace default via fd00::1 dev eth0');
  for (const address of ['1.2.3', '1.2.3.4 dev lo', 'fe80::1%lo', '']) assert.throws(() => checkedAddress(address, 24));
  assert.throws(() => checkedAddress('198.18.0.5', 33));
  for (const mac of ['', '02:00:00:00:00', '02:00:00:00:00:0g', '02:00:00:00:00:00 up']) assert.throws(() => checkedMac(mac));
  for (const name of ['', 'a b', '../x', '0123456789abcdef', '-x']) assert.throws(() => checkedInterface(name));
  for (const name of ['', 'a b', '../x', '-x']) assert.throws(() => checkedNamespace(name));
});
