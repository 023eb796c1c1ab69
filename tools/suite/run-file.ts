/** Running one test file in a process of its own, with a time limit for all of it. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestResult } from './reporter.ts';

/** What came of one file. */
export type FileResult = {
  readonly path: string;
  readonly seconds: number;
  readonly tests: readonly TestResult[];
  readonly output: string;
};

/** Where and how a file is run. */
export type FileRun = {
  readonly root: string;
  /** A folder for files of this run. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly timeout_ms: number;
  readonly signal: AbortSignal;
};

const reporter = fileURLToPath(new URL('reporter.ts', import.meta.url));
let runs = 0;

/** Runs a test file; a crash, a hang, an open handle at the end and a file without tests count as one failed test each. */
export async function runFile(path: string, run: FileRun): Promise<FileResult> {
  const began = Date.now();
  const isShell = path.endsWith('.sh');
  const events = join(run.folder, `events-${(runs += 1)}`);
  const nodeArgs = ['--disable-warning=ExperimentalWarning', `--test-reporter=${reporter}`, `--test-reporter-destination=${events}`, path];
  const outcome = await execute(isShell ? 'bash' : process.execPath, isShell ? [path] : nodeArgs, run);
  const tests = isShell ? [shellResult(path, outcome)] : [...readEvents(events), ...wholeFile(path, outcome, readEvents(events))];
  return { path, seconds: (Date.now() - began) / 1000, tests, output: outcome.output };
}

type Outcome = { readonly code: number | null; readonly signal: string | null; readonly isLate: boolean; readonly output: string };

function execute(command: string, args: readonly string[], run: FileRun): Promise<Outcome> {
  return new Promise((resolve) => {
    // Its own process group, so that what it starts can be ended with it.
    const child = spawn(command, [...args], { cwd: run.root, env: run.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let isLate = false;
    const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-20_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const end = (): void => killGroup(child.pid);
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, run.timeout_ms);
    run.signal.addEventListener('abort', end, { once: true });
    child.once('error', (error) => (output += String(error)));
    // 'exit' and not 'close': a process left behind may keep the pipe open.
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      run.signal.removeEventListener('abort', end);
      end();
      // What is in the pipes already is still read.
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ code, signal, isLate, output });
      }, 10);
    });
  });
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}

function readEvents(path: string): TestResult[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as TestResult);
}

/** The failure of the file as a whole, if it is not told by one of its tests. */
function wholeFile(path: string, { code, signal, isLate, output }: Outcome, tests: readonly TestResult[]): TestResult[] {
  const failed = (reason: string): TestResult[] => [{ name: path, outcome: 'failed', reason }];
  if (isLate) return failed('did not end in time: a test hangs, or a timer, socket or process is still open after the last one');
  if (tests.some((test) => test.outcome === 'failed')) return [];
  if (code !== 0) return failed(`ended with ${code === null ? signal : `code ${code}`}:\n${output.slice(-3000)}`);
  return tests.length === 0 ? failed('has no tests') : [];
}

/** A script passes with code 0 and is skipped with code 77; the last line that it wrote says why. */
function shellResult(path: string, { code, isLate, output }: Outcome): TestResult {
  if (isLate) return { name: path, outcome: 'failed', reason: `did not end in time:\n${output.slice(-3000)}` };
  if (code === 0) return { name: path, outcome: 'passed', reason: '' };
  if (code === 77) return { name: path, outcome: 'skipped', reason: output.trim().split('\n').at(-1) ?? 'no reason given' };
  return { name: path, outcome: 'failed', reason: `ended with code ${code}:\n${output.slice(-3000)}` };
}
