/** The heartbeat bench as a part of the whole: quietly and beside an API load, on both databases. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { findPostgres, startPostgres } from '../../tools/suite/postgres.ts';
import { benchHeartbeats, type HeartbeatBench } from './heartbeats.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { scoped } from './scope.ts';

const full: HeartbeatBench = { amphorae: 3000, rate: 3000, seconds: 10, api_tasks: 16 };
const quick: HeartbeatBench = { amphorae: 300, rate: 300, seconds: 3, api_tasks: 4 };

async function measure(run: BenchRun, database: string, url?: string): Promise<Row[]> {
  const figures = await benchHeartbeats(run.is_quick ? quick : full, url);
  for (const { phase, taken_percent, bad_sent, bad_refused } of figures)
    run.say(`${database}, ${phase}: ${taken_percent} % taken, ${bad_refused} of ${bad_sent} bad ones refused`);
  return figures.map(({ phase, ...rest }) => ({ database, phase, ...rest, aim: '≥ 99.9 % taken' }));
}

const onPostgres = (run: BenchRun, bin: string): Promise<Row[]> =>
  scoped(async (scope) => {
    const folder = mkdtempSync(join(run.folder, 'h-'));
    chmodSync(folder, 0o711);
    const postgres = await startPostgres(bin, folder);
    scope.after(() => postgres.stop());
    return measure(run, 'PostgreSQL', postgres.url);
  });

/** The part. */
export const heartbeats: BenchPart = {
  name: 'heartbeats',
  what: 'Signed heartbeats of 3,000 amphorae, one each per second for 10 s, with late, forged and broken ones between.',
  whyNot: () => null,
  async run(run) {
    const rows = await measure(run, 'SQLite');
    const bin = findPostgres();
    return bin === undefined ? rows : [...rows, ...(await onPostgres(run, bin))];
  },
};
