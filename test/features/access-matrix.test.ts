/** Who may do what on every endpoint, by the published policies; `npm run access-matrix` prints it all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints } from '../access/endpoints.ts';
import { expected, subjects } from '../access/expected.ts';
import { testDialect } from '../support/database.ts';
import { createWorld } from '../access/world.ts';
import { measure, tableOf } from '../access/matrix.ts';

test('every role may do on every endpoint what the published policies say, in its own project and in others', async (t) => {
  // Rights are the same on either database: there, whoever may and whoever may not are enough.
  const isWhole = testDialect === 'sqlite';
  const matrix = await measure(t, isWhole ? undefined : ['member', 'admin', 'nobody']);
  const wrong = matrix.cells.filter((cell) => !cell.isRight);
  assert.equal(wrong.length, 0, tableOf({ cells: wrong, absent: [] }));
  assert.ok(matrix.cells.length > (isWhole ? 1600 : 300), `${matrix.cells.length} cells`);
  assert.equal(Object.keys(subjects).length, 13);
  assert.ok(endpoints.length - matrix.absent.length > 40);
});

test('a list that names no project shows the projects that the caller may see, and no other', async (t) => {
  const world = await createWorld(t);
  const tokens = new Map<string, string | undefined>();
  for (const [name, subject] of Object.entries(subjects)) tokens.set(name, await world.login(subject));
  const admin = tokens.get('system-admin');
  const kinds = {
    loadbalancers: 'loadbalancer',
    listeners: 'listener',
    pools: 'pool',
    healthmonitors: 'healthmonitor',
    l7policies: 'l7policy',
  };
  for (const [plural, kind] of Object.entries(kinds))
    for (const where of ['own', 'other'] as const)
      assert.equal((await world.send(admin, 'GET', `/${plural}/{${kind}}`, where)).status, 200);
  const { own, other } = world.project_ids;
  const seenBy = { none: null, own: [own], all: [other, own].toSorted() } as const;
  for (const [name, token] of tokens) {
    for (const plural of Object.keys(kinds)) {
      const { status, body } = await world.send(token, 'GET', `/${plural}`, 'own');
      const rows = (body?.[plural] ?? []) as readonly { readonly project_id: string }[];
      const seen = status === 200 ? [...new Set(rows.map((row) => row.project_id))].toSorted() : null;
      assert.deepEqual(seen, seenBy[expected[name]?.read ?? 'none'], `${name} GET /${plural}: ${status}`);
    }
  }
});
