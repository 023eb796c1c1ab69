/** What the agent tells of its machine. */
import { execFile } from 'node:child_process';
import { access, constants, readFile, statfs } from 'node:fs/promises';
import { availableParallelism, hostname } from 'node:os';
import { promisify } from 'node:util';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import type { AgentDetails, AgentInfo } from '../wire/agent-api.ts';

/** Descriptors that HAProxy needs besides those of connections: listeners, health checks, idle connections, its own. */
const RESERVED_FILES = 1024;
/** A connection needs two, and a quarter of them a pipe of two when bodies are spliced. */
const FILES_PER_CONNECTION = 2.5;

let versions: Promise<Pick<AgentInfo, 'haproxy_version' | 'keepalived_version' | 'ipvsadm_version'>> | undefined;

/** Versions of the programs; looked up once, because each start of a program takes 10 ms. Empty for one that is not there. */
export function findVersions(): NonNullable<typeof versions> {
  versions ??= Promise.all([
    versionOf('haproxy', ['-v'], /version (\S+)/u),
    versionOf('keepalived', ['--version'], /v(\d\S*)/u),
    versionOf('ipvsadm', ['--version'], /v(\d\S*)/u),
  ]).then(([haproxy_version, keepalived_version, ipvsadm_version]) => ({ haproxy_version, keepalived_version, ipvsadm_version }));
  return versions;
}

/** Host name and versions. */
export async function describeMachine(): Promise<
  Pick<AgentInfo, 'hostname' | 'api_version' | 'haproxy_version' | 'keepalived_version' | 'ipvsadm_version'>
> {
  return { hostname: hostname(), api_version: '1.0', ...(await findVersions()) };
}

/** The largest `maxconn` that HAProxy can have here: more than the limit of open files allows makes it refuse to start. */
export async function maxconnLimit(): Promise<number> {
  const hard = /^Max open files\s+\S+\s+(\S+)/mu.exec(await readFile('/proc/self/limits', 'utf8'))?.[1];
  if (hard === undefined || hard === 'unlimited') return 1_000_000;
  const files = Number(hard);
  return Math.max(1, Math.floor((files - Math.min(RESERVED_FILES, files / 4)) / FILES_PER_CONNECTION));
}

/** Load, memory, disk and processor of this machine, in upstream's units. */
export async function measureMachine(folder: string): Promise<Pick<AgentDetails, 'cpu_count' | 'cpu' | 'memory' | 'disk' | 'load'>> {
  const [stat, meminfo, loadavg, disk] = await Promise.all([
    readFile('/proc/stat', 'utf8'),
    readFile('/proc/meminfo', 'utf8'),
    readFile('/proc/loadavg', 'utf8'),
    statfs(folder),
  ]);
  const ticks = (stat.split('\n')[0] ?? '').split(/\s+/u).slice(1).map(Number);
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'mu').exec(meminfo)?.[1] ?? 0);
  return {
    cpu_count: availableParallelism(),
    cpu: { total: ticks.reduce((sum, each) => sum + each, 0), user: ticks[0] ?? 0, system: ticks[2] ?? 0, soft_irq: ticks[6] ?? 0 },
    memory: {
      total: kilobytes('MemTotal'),
      free: kilobytes('MemFree'),
      buffers: kilobytes('Buffers'),
      cached: kilobytes('Cached'),
      swap_used: kilobytes('SwapTotal') - kilobytes('SwapFree'),
      shared: kilobytes('Shmem'),
      slab: kilobytes('Slab'),
    },
    disk: { used: (disk.blocks - disk.bfree) * disk.bsize, available: disk.bavail * disk.bsize },
    load: loadavg.split(' ').slice(0, 3),
  };
}

async function versionOf(program: string, args: readonly string[], pattern: RegExp): Promise<string> {
  try {
    // Not by `run`: keepalived tells its version on standard error.
    const { stdout, stderr } = await promisify(execFile)(program, args, { timeout: 5000 });
    return pattern.exec(stdout + stderr)?.[1] ?? '';
  } catch {
    return '';
  }
}

/** Where `ping` may be; HAProxy gives the program no PATH. */
const candidates = ['/usr/bin/ping', '/bin/ping', '/usr/sbin/ping'];

/**
 * Writes the program of PING monitors, which HAProxy can only call without arguments of our choice, and answers its path; null where there is no
 * `ping`. HAProxy runs it without rights, so it needs the kernel's leave to send echo requests, which the init gives; and ends it
 * when the time-out of the monitor is over.
 */
export async function installPing(base_path: string): Promise<string | null> {
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!isThere) continue;
    const path = `${base_path}/ping-wrapper.sh`;
    await writeFileAtomic(path, `#!/bin/sh\nexec ${candidate} -q -n -c 1 -w 60 "$HAPROXY_SERVER_ADDR" > /dev/null 2>&1\n`, { mode: 0o755 });
    return path;
  }
  return null;
}
