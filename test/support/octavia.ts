/** A whole Octavia of its own for a test: controllers in a process that can be killed, on a state folder that is destroyed at the end. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { claimNumber } from './namespaces.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What a test may change: options by `OS_<GROUP>__<OPTION>`, and the environment. */
export type OctaviaOptions = { readonly env?: Readonly<Record<string, string>>; readonly state_dir?: string };

/** A running Octavia. */
export type Octavia = {
  readonly base_url: string;
  readonly state_dir: string;
  /** Process id of the controllers now. */
  pid(): number;
  /** True while the controllers' process lives. */
  isRunning(): boolean;
  /** What they have written to the terminal. */
  output(): string;
  /** `kill -9` of the controllers; returns when they are gone. */
  kill(): Promise<void>;
  /** Stops the controllers as Ctrl-C does. */
  stop(): Promise<void>;
  /** Starts them again; returns when they are ready, with the milliseconds that took. */
  start(): Promise<number>;
  /** Removes everything of the state; answers what `npm run destroy` printed. */
  destroy(): Promise<string>;
};

/** Below those that the kernel gives to sockets of its choice. */
const FIRST_PORT = 30_000;

/** Starts one and destroys it when the test ends, whatever happens. */
export async function startOctavia(t: Pick<TestContext, 'after'>, options: OctaviaOptions = {}): Promise<Octavia> {
  const state_dir = options.state_dir ?? (await mkdtemp(join(tmpdir(), 'oct-')));
  const claim = claimNumber('ranges', 128);
  // Not one that was free a moment ago: a test beside this one may get the same, and then this one would speak to that one's Octavia.
  const port = FIRST_PORT + claim.number;
  const base_url = `http://127.0.0.1:${port}`;
  const own = { OCTAVIA_STATE_DIR: state_dir, OCTAVIA_BIND: `127.0.0.1:${port}`, OCTAVIA_CONFIG: '' };
  const env = { ...process.env, ...own, ...ranges(claim.number), ...options.env };
  let child: ChildProcess | null = null;
  let output = '';

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const it = child;
    child = null;
    if (!it || it.exitCode !== null || it.signalCode !== null) return;
    const gone = new Promise((resolve) => it.once('exit', resolve));
    it.kill(signal);
    await gone;
  };
  const octavia: Octavia = {
    base_url,
    state_dir,
    pid: () => child?.pid ?? 0,
    isRunning: () => child !== null && child.exitCode === null && child.signalCode === null,
    output: () => output,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      const begun = performance.now();
      // Through the launcher, as users start it: it becomes the controllers, so the process is theirs.
      const args = [join(root, 'launch.mjs'), 'src/main/all.ts'];
      const started = spawn(process.execPath, args, { env: { ...env, OCTAVIA_INSTALL: 'never' }, stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      for (const stream of [started.stdout, started.stderr])
        stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-200_000)));
      await ready(base_url, started, () => output);
      return performance.now() - begun;
    },
    async destroy() {
      await end('SIGKILL');
      return runToEnd(join(root, 'src/main/destroy.ts'), env);
    },
  };
  t.after(async () => {
    await octavia.destroy().catch((error: unknown) => console.error(error));
    claim.release();
    await rm(state_dir, { recursive: true, force: true });
  });
  await octavia.start();
  return octavia;
}

/** Ranges of its own: two tests that start at the same time would both find the same range to be the first free one. */
function ranges(number: number): Record<string, string> {
  return {
    OS_LOCAL__TENANT_CIDR: `198.19.${2 * number}.0/24`,
    OS_LOCAL__FLOATING_CIDR: `198.19.${2 * number + 1}.0/24`,
    OS_LOCAL__MANAGEMENT_CIDR: `100.${65 + (number >> 4)}.${(number & 15) << 4}.0/20`,
  };
}

async function ready(base_url: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the controllers ended:\n${output()}`);
    if (Date.now() > deadline) throw new Error(`the controllers are not ready after 60 s:\n${output()}\n${processTree()}`);
    try {
      if ((await fetch(`${base_url}/healthcheck`, { signal: AbortSignal.timeout(1000) })).status === 200) return;
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All processes, and what each waits for: for the message when something hangs or was restarted. */
export function processTree(): string {
  const { stdout } = spawnSync('ps', ['-eo', 'pid,ppid,stat,wchan:24,lstart,args', '--forest'], { encoding: 'utf8' });
  return stdout.replaceAll(/^(.{200}).*$/gmu, '$1');
}

function runToEnd(entry: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entry], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`${entry} ended with ${code}: ${text}`))));
  });
}

/** A TCP port of loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** A client of its API with the token of a user of the embedded identity. */
export type ApiClient = {
  /** Sends a request; answers status and JSON body (null: none). */
  send(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: Record<string, never> | null }>;
  /** As `send`, but throws unless the status is 2xx. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
};

/** Signs in as a user in the project of the same name. */
export async function signIn(octavia: Octavia, name: 'admin' | 'demo' = 'demo'): Promise<ApiClient> {
  const password = (await readFile(join(octavia.state_dir, `${name}.password`), 'utf8')).trim();
  const user = { name, password, domain: { id: 'default' } };
  const auth = { identity: { methods: ['password'], password: { user } }, scope: { project: { name, domain: { id: 'default' } } } };
  const response = await fetch(`${octavia.base_url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  });
  const token = response.headers.get('x-subject-token');
  if (token === null) throw new Error(`no token: ${response.status} ${await response.text()}`);
  const send: ApiClient['send'] = async (method, path, body) => {
    const headers = { 'x-auth-token': token, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const answer = await fetch(`${octavia.base_url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : (JSON.parse(text) as Record<string, never>) };
  };
  return {
    send,
    async call<T>(method: string, path: string, body?: unknown): Promise<T> {
      const answer = await send(method, path, body);
      if (answer.status < 200 || answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as T;
    },
  };
}

/** Waits until a condition gives something else than null, false or undefined; throws after `timeout_ms`. */
export async function until<T>(
  condition: () => Promise<T | null | false | undefined> | T | null | false | undefined,
  what: string,
  timeout_ms = 15_000,
): Promise<T> {
  const deadline = Date.now() + timeout_ms;
  for (;;) {
    const value = await condition();
    if (value !== null && value !== false && value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`not within ${timeout_ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
