import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSender } from '../conformance/send.ts';
import { startSetup } from '../conformance/setup.ts';
import { testDialect, withDatabase } from '../support/database.ts';
import { clearDatabase, contentHash } from './content-hash.ts';
import { fuzz } from './fuzz.ts';

/** A few here; `npm run fuzz -- 200000` sends as many as wanted. */
const count = testDialect === 'postgresql' ? 300 : 1500;

test('no request makes the API crash or talk about its inside, and a refused one leaves no trace', async (t) => {
  const db = await withDatabase(t);
  const setup = await startSetup(db);
  const sender = createSender(setup.base_url);
  try {
    const target = { send: sender.send, settle: setup.drain, hash: () => contentHash(db), clear: () => clearDatabase(db) };
    const report = await fuzz(target, count, 20_261);
    assert.deepEqual(report.findings, []);
    assert.ok((report.statuses['201'] ?? 0) > 0 && (report.statuses['400'] ?? 0) > 0 && report.hashed > 0, JSON.stringify(report.statuses));
  } finally {
    sender.close();
    await setup.stop();
  }
});

test('a crash, a leak and a trace are found', async () => {
  const answers = [
    { status: 500, body: '{}' },
    { status: 400, body: '{"faultstring": "TypeError: x is not a function"}' },
    { status: 400, body: '{"faultstring": "at run (file:///srv/octavia/src/a.ts:1:2)"}' },
  ];
  let hash = 0;
  let asked = 0;
  const report = await fuzz(
    {
      send: async () => {
        const { status, body } = answers[(asked += 1) % answers.length] ?? { status: 200, body: '{}' };
        return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(body) };
      },
      settle: async () => undefined,
      hash: async () => String((hash += 1)),
      clear: async () => undefined,
    },
    60,
    1,
  );
  const kinds = new Set(report.findings.map(({ what }) => what.split(' /')[0]));
  assert.deepEqual([...kinds].toSorted(), ['a refused request left a trace', 'status 500', 'tells']);
});
