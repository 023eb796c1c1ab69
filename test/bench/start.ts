/** From the start of the program until it answers: on a new state folder, and again on the same one. */
import { p50p99, rounded } from './figures.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { whyNoAmphorae } from './place.ts';
import { noopDrivers, scoped, startIn } from './scope.ts';

const starts = 5;

async function measure(run: BenchRun, kind: string, env: Readonly<Record<string, string>>): Promise<Row[]> {
  const cold: number[] = [];
  const warm: number[] = [];
  for (let n = 1; n <= (run.is_quick ? 2 : starts); n += 1) {
    await scoped(async (scope) => {
      const begun = performance.now();
      const octavia = await startIn(run.folder, scope, env);
      cold.push(performance.now() - begun);
      await octavia.stop();
      warm.push(await octavia.start());
    });
    run.say(`${kind}: new state ${rounded(cold.at(-1) ?? 0)} ms, again ${rounded(warm.at(-1) ?? 0)} ms`);
  }
  const row = (what: string, durations: readonly number[]): Row => ({
    what: `${kind}, ${what}`,
    starts: durations.length,
    p50_ms: p50p99(durations).p50_ms,
    longest_ms: rounded(Math.max(...durations)),
    aim_ms: what === 'again' ? 3000 : null,
  });
  return [row('new state', cold), row('again', warm)];
}

/** The part. */
export const start: BenchPart = {
  name: 'start',
  what: 'From starting the program until GET /healthcheck answers 200; programs and packages are installed already.',
  whyNot: () => null,
  async run(run) {
    const local = whyNoAmphorae() === null ? await measure(run, 'local cloud', {}) : [];
    return [...local, ...(await measure(run, 'no-op drivers', noopDrivers))];
  },
};
