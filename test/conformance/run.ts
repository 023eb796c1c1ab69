/**
 * `npm run conformance`: replays what was recorded from a reference installation, and says what differs.
 *
 *     npm run conformance -- [--url http://127.0.0.1:9876] [--suite pools,members] [--json] [--text] [--record]
 *
 * Without an address it starts the program itself, set up as the reference was. `--text` shows different wording, too; `--record`
 * keeps the answers as the new recording. Ends with 1 when a difference has no entry in `differences.md`, or an entry no difference.
 */
import { parseArgs } from 'node:util';
import { readDifferences } from './differences.ts';
import { readSuites, writeSuite } from './exchange.ts';
import { startProgram } from './program.ts';
import { type Outcome, recordedAnew, replay } from './replay.ts';
import { outcomeLines, reportOf, reportText, verdictOf } from './report.ts';
import { createSender } from './send.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    suite: { type: 'string' },
    json: { type: 'boolean' },
    text: { type: 'boolean' },
    record: { type: 'boolean' },
  },
});

const program = values.url === undefined ? await startProgram() : null;
const base_url = (values.url ?? program?.base_url ?? '').replace(/\/+$/u, '');
const sender = createSender(base_url);
const outcomes: Outcome[] = [];
try {
  for (const suite of readSuites(values.suite?.split(','))) {
    const found = await replay(suite, { base_url, send: sender.send });
    if (values.record) writeSuite(recordedAnew(suite, found));
    outcomes.push(...found);
  }
} finally {
  sender.close();
  await program?.stop();
}
const report = reportOf(outcomes, readDifferences());
const worded = values.text ? outcomes.filter((each) => verdictOf(each) === 'text').flatMap(outcomeLines) : [];
process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${[...worded, reportText(report)].join('\n')}\n`);
process.exitCode = report.unexplained.length + report.stale.length > 0 ? 1 : 0;
