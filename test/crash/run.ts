/** `npm run crash -- [HISTORIES] [FIRST SEED]`: plays random histories on all processors and adds them up. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { playHistory } from './history.ts';
import { addHistory, describeTotal, emptyTotal, type Total } from './report.ts';

const [count = '20000', first = '1', part] = process.argv.slice(2);
if (part === undefined) await lead(Number(count), Number(first));
else await play(Number(count), Number(first));

/** Plays a range of seeds and writes the sum as JSON. A new database now and then keeps it small. */
async function play(histories: number, first_seed: number): Promise<void> {
  const total = emptyTotal();
  let db = null;
  for (let seed = first_seed; seed < first_seed + histories; seed += 1) {
    if (db === null || (seed - first_seed) % 500 === 0) {
      await db?.close();
      db = openDatabase({ url: 'sqlite::memory:' });
      await migrate(db);
    }
    addHistory(total, await playHistory(db, { seed }));
    if ((seed - first_seed) % 100 === 99) process.stderr.write('.');
  }
  await db?.close();
  process.stdout.write(JSON.stringify(total));
}

/** One process per processor; the seeds are divided among them. */
async function lead(histories: number, first_seed: number): Promise<void> {
  const parts = availableParallelism();
  const share = Math.ceil(histories / parts);
  console.log(`${histories} histories, seeds ${first_seed}–${first_seed + histories - 1}, ${parts} processes; a dot is 100 histories`);
  const started = performance.now();
  const totals = await Promise.all(
    Array.from({ length: parts }, (_, index) => {
      const from = first_seed + index * share;
      return follow(Math.min(share, first_seed + histories - from), from);
    }),
  );
  const sum = totals.reduce(join);
  console.log(`\n${describeTotal(sum)}\n${Math.round((performance.now() - started) / 1000)} s`);
  process.exitCode = sum.bad.length > 0 ? 1 : 0;
}

function follow(histories: number, from: number): Promise<Total> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), String(histories), String(from), 'part'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(text) as Total) : reject(new Error(`a process ended with ${code}`))));
  });
}

/** Numbers add up, key by key; lists are put together. */
function join(left: Total, right: Total): Total {
  const actions = { ...left.actions };
  for (const [name, times] of Object.entries(right.actions)) actions[name] = (actions[name] ?? 0) + times;
  const numbers = (['histories', 'crashes', 'freezes', 'leases', 'thefts', 'histories_with_theft'] as const).map((key) => [
    key,
    left[key] + right[key],
  ]);
  return { ...left, ...Object.fromEntries(numbers), actions, bad: [...left.bad, ...right.bad] };
}
