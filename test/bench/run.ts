/**
 * `npm run bench [-- --only NAME …] [--quick] [--json FILE]`: measures what the project promises figures for.
 *
 * Prints the progress, then a table per part; `--json` writes the same for machines. As root everything runs in network,
 * mount and process namespaces of its own, and a temporary folder that is removed, so that nothing stays on the machine.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runIsolated, whyNotIsolated } from '../../tools/suite/isolate.ts';
import { changes } from './changes.ts';
import { control } from './control.ts';
import { create } from './create.ts';
import { datagrams } from './datagrams.ts';
import { tableText } from './figures.ts';
import { heartbeats } from './health.ts';
import { l7 } from './l7.ts';
import { describeMachine } from './machine.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { takeDown } from './scope.ts';
import { start } from './start.ts';
import { traffic } from './traffic.ts';

const parts: readonly BenchPart[] = [start, create, control, heartbeats, traffic, datagrams, l7, changes];

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
  },
});

/** Set for the process inside the namespaces: the folder for everything temporary, which the outer one removes. */
const folderVariable = 'OCTAVIA_BENCH_FOLDER';

async function outer(): Promise<number> {
  // Short, because sockets below it must stay under 108 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'ob-'));
  chmodSync(folder, 0o711);
  try {
    const env = { ...process.env, [folderVariable]: folder, TMPDIR: folder };
    const reason = whyNotIsolated();
    if (reason === undefined)
      return await runIsolated(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], env);
    console.log(`Not in namespaces of its own: ${reason}.`);
    Object.assign(process.env, env);
    return await inner(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What one part showed. */
type Result = { readonly name: string; readonly seconds: number } & (
  | { readonly rows: readonly Row[] }
  | { readonly skipped: string }
  | { readonly failed: string }
);

async function inner(folder: string): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void takeDown().finally(() => process.exit(130)));
  const machine = describeMachine();
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  );
  const results: Result[] = [];
  for (const part of chosen()) results.push(await runPart(part, folder));
  for (const result of results) print(result);
  if (values.json !== undefined)
    writeFileSync(resolve(values.json), `${JSON.stringify({ machine, quick: values.quick, parts: results }, null, 2)}\n`);
  return results.some((result) => 'failed' in result) ? 1 : 0;
}

/** Throws an `Error` with one sentence for a name that no part has. */
function chosen(): readonly BenchPart[] {
  for (const name of values.only)
    if (!parts.some((part) => part.name === name))
      throw new Error(`There is no part ${name}; there are: ${parts.map((part) => part.name).join(', ')}.`);
  return values.only.length === 0 ? parts : parts.filter((part) => values.only.includes(part.name));
}

async function runPart(part: BenchPart, folder: string): Promise<Result> {
  const begun = performance.now();
  const seconds = (): number => Math.round((performance.now() - begun) / 1000);
  const skipped = part.whyNot();
  console.log(`\n${part.name}: ${part.what}`);
  if (skipped !== null) return { name: part.name, seconds: 0, skipped };
  const run: BenchRun = { is_quick: values.quick, folder, say: (line) => console.log(`  [${seconds()} s] ${line}`) };
  try {
    return { name: part.name, rows: await part.run(run), seconds: seconds() };
  } catch (error) {
    return { name: part.name, seconds: seconds(), failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function print(result: Result): void {
  console.log(`\n== ${result.name} (${result.seconds} s)${values.quick ? ', quick: not for quoting' : ''}`);
  if ('rows' in result) console.log(tableText(result.rows));
  else console.log('skipped' in result ? `  skipped: ${result.skipped}` : `  FAILED: ${result.failed}`);
}

const given = process.env[folderVariable];
try {
  process.exitCode = given === undefined ? await outer() : await inner(given);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
