/** The part of a plan that concerns servers. Pure. */
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import { runningPath } from './plan-tls.ts';
import type { BackendPair, PlanInput, Step, TlsHeld } from './steps.ts';
import type { SeenServer } from './seen.ts';
import { isSameAddress, parseServerLine } from './server-line.ts';
import type { ServerLine } from './server-line.ts';
import { commandWord } from './words.ts';

/** Servers that come or change, and those that go: these last, so that a pool is never without the new ones. */
export type ServerSteps = { readonly adding: readonly Step[]; readonly leaving: readonly Step[] };

/** Plans the servers of all backends; answers the reason when only a reload can do it. */
export function planServers(backends: readonly BackendPair[], input: PlanInput): ServerSteps | string {
  const adding: Step[] = [];
  const leaving: Step[] = [];
  const known = new Set<string>();
  for (const { held, wanted } of backends) {
    const before = linesOf(held);
    const after = linesOf(wanted);
    if (before === null || after === null) return `backend ${wanted.name} has servers that this agent does not understand`;
    for (const line of after.values()) {
      const key = `${wanted.name}/${line.name}`;
      known.add(key);
      const steps = planServer(key, line, before.get(line.name), wanted, input);
      if (typeof steps === 'string') return steps;
      adding.push(...steps.filter(({ command }) => !command.endsWith(' state maint')));
      leaving.push(...steps.filter(({ command }) => command.endsWith(' state maint')));
    }
  }
  const gone = [...input.seen.servers].filter(([key]) => !known.has(key) && isOurs(key, backends));
  leaving.push(...gone.filter(([, server]) => !server.is_maint).map(([key]) => setServer(key, 'state maint')));
  leaving.push(...gone.map(([key]) => ({ do: 'remove', server: key }) as const));
  return { adding, leaving };
}

type Command = Extract<Step, { do: 'command' }>;

function planServer(
  key: string,
  line: ServerLine,
  held: ServerLine | undefined,
  backend: ConfigSection,
  input: PlanInput,
): readonly Command[] | string {
  const seen = input.seen.servers.get(key);
  if (seen === undefined) return whyNotAdded(line, backend, input.version) ?? addServer(key, line, input.tls);
  const others = (input.extra[key] ?? []).map(parseServerLine);
  const candidates = [...(held === undefined ? [] : [held]), ...others];
  if (candidates.length === 0) return `the running process has a server ${line.name} that did not come from this agent`;
  if (candidates.some((candidate) => candidate?.fixed !== line.fixed)) return `server ${line.name} becomes another one`;
  if (!isSameAddress(seen.address, line.address) || seen.port !== line.port) return `server ${line.name} has another address`;
  return changesOf(key, line, seen);
}

function changesOf(key: string, line: ServerLine, seen: SeenServer): readonly Command[] {
  const probes = line.has_check ? probeChanges(key, line, seen) : [];
  const weight = seen.weight === line.weight ? [] : [setServer(key, `weight ${line.weight}`)];
  if (line.is_disabled) return [...probes, ...weight, ...(seen.is_maint ? [] : [setServer(key, 'state maint')])];
  return [...probes, ...weight, ...(seen.is_maint || seen.is_drained ? [setServer(key, 'state ready')] : [])];
}

/** Where a server is probed; what the line does not say is the server's own, which has to be said to a worker that holds another. */
function probeChanges(key: string, line: ServerLine, seen: SeenServer): readonly Command[] {
  const addr = line.check_addr ?? line.address;
  const port = line.check_port ?? line.port;
  return [
    ...(isSameAddress(seen.check_addr ?? seen.address, addr) ? [] : [setServer(key, `check-addr ${addr}`)]),
    ...((seen.check_port ?? seen.port) === port ? [] : [setServer(key, `check-port ${port}`)]),
    ...(seen.is_probed ? [] : [enableHealth(key)]),
  ];
}

/** Probing begins before traffic, and a server that is switched off is added, too: it may be switched on later. */
function addServer(key: string, line: ServerLine, tls: TlsHeld): readonly Command[] {
  // Files can only be named as they were loaded, and have their new content by then.
  const words = line.words.map((word) => commandWord(runningPath(word, tls) ?? word));
  const command = `add server ${key} ${words.join(' ')}`;
  return [
    { do: 'command', command, answer: 'New server registered.' },
    ...(line.has_check ? [enableHealth(key)] : []),
    ...(line.is_disabled ? [] : [{ do: 'command', command: `enable server ${key}`, answer: '' } as const]),
  ];
}

/** HAProxy's restrictions on servers that are added while it runs; null: it can be. */
function whyNotAdded(line: ServerLine, backend: ConfigSection, version: number): string | null {
  if (line.unknown !== null) return `servers with ${line.unknown} cannot be added while HAProxy runs`;
  const words = line.words;
  if (version < 3 && words.includes('cookie')) return `servers with a cookie cannot be added while HAProxy ${version} runs`;
  const balance = backend.lines.find(({ tokens }) => tokens[0] === 'balance')?.tokens[1] ?? 'roundrobin';
  const isConsistent = backend.lines.some(({ tokens }) => tokens[0] === 'hash-type' && tokens[1] === 'consistent');
  if (['roundrobin', 'leastconn', 'random', 'first'].includes(balance) || (balance === 'source' && isConsistent)) return null;
  return `servers cannot be added to balance ${balance} while HAProxy runs`;
}

/** Backends of HAProxy's own (its HTTP client) are not ours to change. */
function isOurs(key: string, backends: readonly BackendPair[]): boolean {
  return backends.some(({ wanted }) => key.startsWith(`${wanted.name}/`));
}

function linesOf(section: ConfigSection): ReadonlyMap<string, ServerLine> | null {
  const lines = new Map<string, ServerLine>();
  for (const { tokens } of section.lines) {
    if (tokens[0] !== 'server') continue;
    const parsed = parseServerLine(tokens);
    if (parsed === undefined || lines.has(parsed.name)) return null;
    lines.set(parsed.name, parsed);
  }
  return lines;
}

const enableHealth = (key: string): Command => ({ do: 'command', command: `enable health ${key}`, answer: '' });

const setServer = (key: string, what: string): Command => ({ do: 'command', command: `set server ${key} ${what}`, answer: '' });
