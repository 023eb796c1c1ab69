/**
 * `npm test [-- PATTERN…] [--sqlite] [--postgresql]`: the whole suite, or the files whose paths contain a pattern.
 *
 * All tests run with SQLite; those that use a database once more with PostgreSQL. At the end the features of the data plane are
 * listed by HAProxy and kind of address (`-- test/features/traffic` runs just those), and the last line is
 * `N passed, N failed, N skipped`; the exit code is 1 after a failure or when no test ran. With CI=true a skip that
 * test/known-skips.json does not list is a failure.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runIsolated, whyNotIsolated } from './suite/isolate.ts';
import { matrixOf } from './suite/matrix.ts';
import { findPostgres, startPostgres } from './suite/postgres.ts';
import type { TestResult } from './suite/reporter.ts';
import { runFile } from './suite/run-file.ts';
import type { FileRun } from './suite/run-file.ts';
import { findTestFiles, usesDatabase } from './suite/select.ts';
import { readKnownSkips, Summary } from './suite/summary.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sqlite: { type: 'boolean' },
    postgresql: { type: 'boolean' },
    concurrency: { type: 'string', default: '2' },
    timeout: { type: 'string', default: '120' },
  },
});

/** Every result so far. */
const seen: TestResult[] = [];

/** Set for the process inside the namespaces: the folder for everything temporary, which the outer one removes. */
const folderVariable = 'OCTAVIA_TEST_FOLDER';

async function outer(): Promise<number> {
  // Short, because sockets below it must stay under 108 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'ot-'));
  chmodSync(folder, 0o711);
  try {
    const env = { ...process.env, [folderVariable]: folder, TMPDIR: folder };
    const reason = whyNotIsolated();
    if (reason === undefined)
      return await runIsolated(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
        ...env,
        OCTAVIA_TEST_ISOLATED: '1',
      });
    console.log(`Tests that need a network of their own are skipped: ${reason}.`);
    Object.assign(process.env, env);
    return await inner(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function inner(folder: string): Promise<number> {
  const began = Date.now();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  const files = findTestFiles(root, positionals);
  const summary = new Summary({
    known: readKnownSkips(join(root, 'test', 'known-skips.json')),
    isStrict: process.env['CI'] === 'true',
    print: (line) => console.log(line),
  });
  const base = { root, folder, timeout_ms: Number(values.timeout) * 1000, signal: stop.signal };
  if (values.postgresql !== true)
    await runAll('sqlite', files, { ...base, env: { ...process.env, OCTAVIA_TEST_DATABASE: 'sqlite' } }, summary);
  if (values.sqlite !== true)
    await withPostgres(
      files.filter((path) => usesDatabase(root, path)),
      base,
      summary,
    );
  if (stop.signal.aborted) return 130;
  for (const line of matrixOf(seen)) console.log(line);
  console.log(`\n${files.length} files in ${Math.round((Date.now() - began) / 1000)} s`);
  return summary.finish() ? 0 : 1;
}

async function withPostgres(files: readonly string[], base: Omit<FileRun, 'env'>, summary: Summary): Promise<void> {
  if (files.length === 0 || base.signal.aborted) return;
  const bin = findPostgres();
  if (bin === undefined) {
    summary.counts.skipped += 1;
    summary.skip('all tests of the database on PostgreSQL', 'no PostgreSQL server is installed (Debian: apt-get install postgresql)');
    return;
  }
  const server = await startPostgres(bin, base.folder);
  try {
    const env = { ...process.env, OCTAVIA_TEST_DATABASE: 'postgresql', OCTAVIA_TEST_PG: server.url };
    await runAll('postgresql', files, { ...base, env }, summary);
  } finally {
    await server.stop();
  }
}

/** Runs files, a few at a time; scripts of clients get longer, because they start everything and clients are slow. */
async function runAll(database: string, files: readonly string[], run: FileRun, summary: Summary): Promise<void> {
  const queue = [...files];
  const lane = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined && !run.signal.aborted; path = queue.shift()) {
      const isClient = path.startsWith('test/clients/');
      const result = await runFile(path, isClient ? { ...run, timeout_ms: Math.max(run.timeout_ms, 600_000) } : run);
      summary.add(database, result);
      seen.push(...result.tests);
    }
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, lane));
}

const given = process.env[folderVariable];
process.exitCode = given === undefined ? await outer() : await inner(given);
