/** Starting an instance's processes so that they live on when the program that started them dies. */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { CommandError } from '../../../lib/run.ts';
import { batchText } from '../fabric/ip.ts';
import { COMPUTE_MARK, STATE_MARK } from '../fabric/names.ts';
import { findMarked, findProcess } from './processes.ts';
import type { ProcessId } from './processes.ts';
import { INSIDE, sandboxCommand } from './sandbox.ts';
import type { Launcher, SandboxPlaces } from './sandbox.ts';

/** What is to be started. */
export type Launch = {
  readonly state_id: string;
  readonly compute_id: string;
  readonly hostname: string;
  readonly launcher: Launcher;
  readonly places: SandboxPlaces;
  /** File names inside the runtime folder. */
  readonly programs: { readonly node: string; readonly agent: string; readonly init: string };
  /** Names of the namespaces. */
  readonly netns: { readonly management: string; readonly fabric: string };
  /** `cgroup.procs` files to join. */
  readonly groups: readonly string[];
  /** Locked by every process of the instance as long as it lives. */
  readonly lock: string;
  readonly log: string;
  /** Some of the wires lead into the traffic namespace. */
  readonly hasPorts: boolean;
  /** Lines for `ip -batch -` to run first: on the host, in the fabric's namespace, in the management namespace. */
  readonly wires: { readonly host: readonly string[]; readonly fabric: readonly string[]; readonly management: readonly string[] };
};

/** Another launch or a living process holds the instance's lock. */
export class InstanceBusy extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'InstanceBusy';
  }
}

const LOCKED = 75;

/**
 * Wires and starts an instance with one command, and answers its init (process 1 in there) as the host sees it.
 *
 * Throws `InstanceBusy` when something of it still lives, `CommandError` when a wire cannot be made, another error with the end of
 * the log when the sandbox does not come up.
 */
export async function launchInstance(launch: Launch): Promise<ProcessId> {
  const init = [`${INSIDE.runtime}/${launch.programs.init}`];
  const command = sandboxCommand(launch.launcher, launch.hostname, launch.places, init);
  const output = await runScript(launch, command);
  const child = /"child-pid":\s*(\d+)/u.exec(output)?.[1];
  const found = child === undefined ? null : findProcess(Number(child));
  const running = found ?? (launch.launcher === 'unshare' ? await searchInit(launch) : null);
  if (running === null) throw new Error(`the instance ended at once: ${lastLines(launch.log)}`);
  return running;
}

/** The init of an instance by its marks alone; null when there is none. Looks at every process of the machine. */
export function findInit(state_id: string, compute_id: string): ProcessId | null {
  const init = findMarked(state_id).find((process) => process.compute_id === compute_id && process.is_init);
  return init === undefined ? null : { pid: init.pid, started: init.started };
}

/** The last lines of a log on one line, for messages to operators. */
export function lastLines(path: string): string {
  const lines = tail(path, 1000).trim().split('\n').slice(-3).join('; ');
  return lines === '' ? 'it said nothing' : lines;
}

/** Keeps the last part of a log that grew too long; its writers append, so they go on at the new end. */
export function boundLog(path: string, limit_bytes: number): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= limit_bytes) return;
  const file = tryOpen(path);
  if (file === null) return;
  try {
    const kept = Buffer.from(tail(path, Math.floor(limit_bytes / 2)), 'latin1');
    ftruncateSync(file, 0);
    writeSync(file, kept, 0, kept.length, 0);
  } finally {
    closeSync(file);
  }
}

async function runScript(launch: Launch, command: readonly string[]): Promise<string> {
  const { netns, wires } = launch;
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    HOME: '/root',
    [STATE_MARK]: launch.state_id,
    [COMPUTE_MARK]: launch.compute_id,
    OCTAVIA_AMPHORA_DIR: INSIDE.etc,
    OCTAVIA_STATE_DIR: INSIDE.state,
    OCTAVIA_RUN_DIR: INSIDE.run,
    OCTAVIA_TRAFFIC_NETNS: INSIDE.traffic,
    OCTAVIA_NODE: `${INSIDE.runtime}/${launch.programs.node}`,
    OCTAVIA_AGENT: `${INSIDE.runtime}/${launch.programs.agent}`,
    wires_host: batchText(wires.host),
    wires_fabric: batchText(wires.fabric),
    wires_management: batchText(wires.management),
    has_ports: launch.hasPorts ? 'yes' : '',
    groups: launch.groups.join('\n'),
  };
  const args = [launch.lock, launch.log, netns.fabric, netns.management, launch.places.traffic, ...command];
  try {
    return await runDetached(START, args, env);
  } catch (error) {
    if (error instanceof CommandError && error.code === LOCKED)
      throw new InstanceBusy('the instance is being started or still runs', { cause: error });
    throw error;
  }
}

/**
 * Arguments: lock, log, fabric, management, traffic file, command. The lock is inherited by everything that is started, so it is
 * free exactly when nothing of the instance lives. Standard output answers what bubblewrap tells on descriptor 8.
 */
const START = `
set -eu
umask 022
ulimit -c 0
exec 9> "$1"
flock -n 9 & locking=$!
log=$2 fabric=$3 management=$4 traffic=$5
shift 5
wired=yes
if [ -n "$wires_host" ]; then printf %s "$wires_host" | ip -batch - || wired=; fi
wait $locking || exit ${LOCKED}
[ -n "$wired" ]
if [ -n "$wires_host" ]; then
  # Interfaces take their settings from these when they are made; without ports the init is early enough.
  [ -z "$has_ports" ] || nsenter --net="$traffic" sh -c '
    for setting in ipv6/conf/default/accept_ra=0 ipv6/conf/default/accept_redirects=0 ipv4/conf/default/accept_redirects=0; do
      file=/proc/sys/net/\${setting%=*}
      [ ! -e "$file" ] || echo "\${setting#*=}" > "$file"
    done'
  printf %s "$wires_fabric" | ip -n "$fabric" -batch -
  printf %s "$wires_management" | ip -n "$management" -batch -
fi
IFS='
'
for group in $groups; do echo 0 > "$group" || :; done
unset IFS wires_host wires_fabric wires_management has_ports groups
exec 8> /dev/null
[ "$1" != bwrap ] || exec 8>&1
exec >> "$log" 2>&1 < /dev/null
nsenter --net="/run/netns/$management" "$@" &`;

/** Runs a script in a session of its own from the start: Ctrl-C on the controller's terminal must not end it half-way. */
function runDetached(script: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', script, 'octavia-launch', ...args], {
      env,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const failed = (code: number | null, reason: string | null, cause?: unknown): CommandError =>
      new CommandError(
        `starting an instance failed (${code ?? reason}): ${output.stderr.trim().slice(0, 500)}`,
        { code, reason, ...output },
        cause,
      );
    child.once('error', (error: NodeJS.ErrnoException) => reject(failed(null, error.code ?? null, error)));
    child.once('close', (code, signal) => (code === 0 ? resolve(output.stdout) : reject(failed(code, signal))));
  });
}

/** Without bubblewrap nobody tells the pid; the marks do. */
async function searchInit(launch: Launch): Promise<ProcessId | null> {
  for (let wait = 2; wait < 1000; wait *= 2) {
    const found = findInit(launch.state_id, launch.compute_id);
    if (found !== null) return found;
    await after(wait);
  }
  return null;
}

function tail(path: string, bytes: number): string {
  const file = tryOpen(path);
  if (file === null) return '';
  try {
    const size = fstatSync(file).size;
    const buffer = Buffer.alloc(Math.min(bytes, size));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('latin1');
  } finally {
    closeSync(file);
  }
}

function tryOpen(path: string): number | null {
  try {
    return openSync(path, 'r+');
  } catch {
    return null;
  }
}
