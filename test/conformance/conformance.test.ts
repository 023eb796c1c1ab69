import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDialect, withDatabase, withDatabaseUrl } from '../support/database.ts';
import { compareAnswers } from './compare.ts';
import { readDifferences } from './differences.ts';
import { type Answer, isExchange, readSuites, type Suite } from './exchange.ts';
import { startProgram } from './program.ts';
import { type Outcome, replay } from './replay.ts';
import { reportOf, reportText, verdictOf } from './report.ts';
import { createSender } from './send.ts';
import { startSetup } from './setup.ts';

/** What needs amphorae or the real providers, and so the program itself. */
const ofProgram = ['providers', 'immutability', 'amphorae'];

/** On PostgreSQL, where each request takes longer, those that differ from SQLite if any do. */
const ofPostgres = ['lists', 'quotas', 'flavors', 'members', 'single-call-creates'];

async function replayAll(suites: readonly Suite[], base_url: string): Promise<Outcome[]> {
  const sender = createSender(base_url);
  try {
    const outcomes: Outcome[] = [];
    for (const suite of suites) outcomes.push(...(await replay(suite, { base_url, send: sender.send })));
    return outcomes;
  } finally {
    sender.close();
  }
}

function checkOutcomes(outcomes: readonly Outcome[]): void {
  const report = reportOf(outcomes, readDifferences());
  assert.ok(report.unexplained.length + report.stale.length === 0, `\n${reportText(report)}`);
}

test('the API answers as the reference did, or better', async (t) => {
  const setup = await startSetup(await withDatabase(t));
  try {
    checkOutcomes(
      await replayAll(
        readSuites(testDialect === 'postgresql' ? ofPostgres : []).filter(({ name }) => !ofProgram.includes(name)),
        setup.base_url,
      ),
    );
  } finally {
    await setup.stop();
  }
});

test('the program, configured as the reference was, does so too', async (t) => {
  const program = await startProgram({ OS_DATABASE__CONNECTION: await withDatabaseUrl(t) });
  try {
    checkOutcomes(await replayAll(readSuites(ofProgram), program.base_url));
  } finally {
    await program.stop();
  }
});

test('a difference in status, type, key, value, header or wording is seen as what it is', () => {
  const answer = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => ({
    status,
    headers,
    request_id: true,
    body,
  });
  const verdict = (theirs: Answer, ours: Answer): string =>
    verdictOf({ suite: 's', case: 'c', ours, differences: compareAnswers(theirs, ours) });
  const shown = answer(200, { pool: { name: 'a', tags: [{ id: 'x' }, { id: 'y' }] } });
  assert.equal(verdict(shown, shown), 'equal');
  assert.equal(verdict(shown, answer(200, { pool: { name: 'a', tags: [{ id: 'y' }] } })), 'different');
  assert.equal(verdict(shown, answer(200, { pool: { name: 5, tags: [{ id: 'x' }, { id: 'y' }] } })), 'different');
  assert.equal(verdict(shown, answer(200, { pool: { tags: [{ id: 'x' }, { id: 'y' }] } })), 'different');
  assert.equal(verdict(shown, answer(201, shown.body)), 'different');
  assert.equal(verdict(shown, answer(200, shown.body, { allow: 'GET' })), 'different');
  assert.equal(verdict(answer(500, null), answer(400, null)), 'better');
  assert.equal(verdict(answer(400, null), answer(500, null)), 'different');
  assert.equal(verdict(answer(500, null), answer(201, null)), 'different');
  assert.equal(verdict(answer(400, { faultstring: 'no' }), answer(400, { faultstring: 'never' })), 'text');
});

test('an unexplained difference and an entry without one are told', () => {
  const outcome: Outcome = {
    suite: 'pools',
    case: 'a "case"',
    ours: { status: 400, headers: {}, request_id: true, body: null },
    differences: [{ kind: 'better', path: 'status', theirs: '500', ours: '400' }],
  };
  assert.equal(reportOf([outcome], []).unexplained.length, 1);
  const known = readDifferences(
    'text\n- pools "a \\"case\\"" better: They crash.\n- pools "gone" different: Why.\n- members "x" better: Other.\n',
  );
  const report = reportOf([outcome], known);
  assert.equal(report.unexplained.length, 0);
  assert.deepEqual(
    report.stale.map((each) => each.case),
    ['gone'],
  );
  assert.throws(() => readDifferences('- pools "a" better:\n'), /not an entry/u);
  assert.throws(() => readDifferences('- pools "a" better: x\n- pools "a" better: x\n'), /twice/u);
});

test('the names of cases are unique in their suite', () => {
  for (const { name, steps } of readSuites()) {
    const cases = steps.filter(isExchange).map((step) => step.case);
    assert.equal(new Set(cases).size, cases.length, name);
  }
});
