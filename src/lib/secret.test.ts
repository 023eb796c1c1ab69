import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { Secret } from './secret.ts';

test('a secret shows three stars wherever it is printed, and itself only when revealed', () => {
  const secret = new Secret('hunter2');
  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true }),
    format('%o %s', secret, secret),
  ];
  for (const text of printed) {
    assert.ok(!text.includes('hunter2'), text);
    assert.match(text, /\*\*\*/);
  }
  assert.equal(secret.reveal(), 'hunter2');
});
