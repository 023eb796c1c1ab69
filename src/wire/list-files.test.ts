import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aclFile, listMd5, mapFile, parseListName } from './list-files.ts';

void test('a list is named after its content, and the name tells slot and kind', () => {
  const file = aclFile('allowed-cidrs-l', ['10.0.0.0/8', '2001:db8::/32']);
  assert.equal(file.content, '10.0.0.0/8\n2001:db8::/32\n');
  assert.deepEqual(parseListName(file.name), { slot: 'allowed-cidrs-l', md5: listMd5(file.content), kind: 'acl' });
  const map = mapFile('hosts', [['a.example', 'pool:listener']]);
  assert.equal(map.content, 'a.example pool:listener\n');
  assert.equal(parseListName(map.name)?.kind, 'map');
  assert.notEqual(mapFile('hosts', []).name, map.name);
});

void test('what HAProxy would read as something else is refused', () => {
  for (const entry of ['', ' a', 'a ', '# a', 'a\nb', 'a\0', '\ud800']) assert.throws(() => aclFile('s', [entry]), TypeError);
  assert.throws(() => mapFile('s', [['a b', 'c']]), TypeError);
  assert.throws(() => mapFile('s', [['a', '']]), TypeError);
  assert.throws(() => aclFile('S/..', ['a']), TypeError);
  for (const name of ['a.acl', '../a.0123456789abcdef0123456789abcdef.acl', 'a.0123456789abcdef0123456789abcdef.pem'])
    assert.equal(parseListName(name), undefined);
});
