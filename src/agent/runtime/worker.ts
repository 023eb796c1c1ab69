/** A running worker of HAProxy: what it holds, and changing that by commands. */
import type { Seen } from './seen.ts';
import { parseCrtList, parseLimits, parseListEntries, parseListPaths, parseServersState } from './seen.ts';
import { MAX_COMMAND_BYTES, Session, SessionError } from './session.ts';
import type { Step } from './steps.ts';
import type { ReadSecret } from './worker-tls.ts';
import { changeTls } from './worker-tls.ts';
import { CommandRefused } from './refused.ts';
import { commandWord } from './words.ts';

/** What a worker says of itself and holds. */
export type WorkerView = { readonly pid: number; readonly version: number; readonly seen: Seen };

/** What commands did: how many were given, and the servers (`<backend>/<server>`) that still have connections. */
export type Outcome = { readonly commands: number; readonly busy: readonly string[] };

const STILL_BUSY = /connections attached|still has/iu;

/** Asks a worker what it holds. Throws `SessionError`, and `Error` for answers that cannot be read. */
export async function viewWorker(session: Session, listsBelow: string): Promise<WorkerView> {
  const [info = '', servers = '', stat = '', acls = '', maps = '', crtLists = ''] = await session.askAll([
    'show info',
    'show servers state',
    'show stat -1 1 -1',
    'show acl',
    'show map',
    'show ssl crt-list',
  ]);
  const pid = Number(/^Pid: (\d+)$/mu.exec(info)?.[1]);
  const version = Number.parseFloat(/^Version: (\d+\.\d+)/mu.exec(info)?.[1] ?? '');
  if (!(pid > 0 && version > 0)) throw new SessionError('the worker of HAProxy does not say who it is');
  const isOurs = (path: string): boolean => path.startsWith(`${listsBelow}/`);
  const asked = [
    ...parseListPaths(acls).map((path) => ({ kind: 'acl', path })),
    ...parseListPaths(maps).map((path) => ({ kind: 'map', path })),
  ].filter(({ path }) => isOurs(path));
  const answers = await session.askAll(asked.map(({ kind, path }) => `show ${kind} ${commandWord(path)}`));
  const lists = new Map(asked.map(({ path }, index) => [path, parseListEntries(answers[index] ?? '')]));
  const crtPaths = crtLists.split('\n').filter((path) => path.startsWith('/'));
  const entries = await session.askAll(crtPaths.map((path) => `show ssl crt-list ${commandWord(path)}`));
  const crt_lists = new Map(crtPaths.map((path, index) => [path, parseCrtList(entries[index] ?? '')]));
  return { pid, version, seen: { servers: parseServersState(servers), limits: parseLimits(stat), lists, crt_lists } };
}

/** Carries out steps in their order. Throws `CommandRefused` at the first that fails, and `SessionError`. */
export async function carryOut(session: Session, steps: readonly Step[], readSecret: ReadSecret): Promise<Outcome> {
  let commands = 0;
  const busy: string[] = [];
  let pending: { readonly command: string; readonly answer: string }[] = [];
  const flush = async (): Promise<void> => {
    await giveAll(session, pending);
    commands += pending.length;
    pending = [];
  };
  for (const step of steps) {
    if (step.do === 'command') pending.push(step);
    else {
      await flush();
      if (step.do === 'list') commands += await replaceList(session, step);
      else if (step.do !== 'remove') commands += await changeTls(session, step, readSecret);
      else if (!(await removeServer(session, step.server))) busy.push(step.server);
      else commands += 1;
    }
  }
  await flush();
  return { commands, busy };
}

/** Ends the connections of a server that is leaving. Throws `SessionError`. */
export async function endServer(session: Session, server: string): Promise<void> {
  await session.ask(`shutdown sessions server ${server}`);
}

async function removeServer(session: Session, server: string): Promise<boolean> {
  const answer = await session.ask(`del server ${server}`);
  if (answer === 'Server deleted.' || answer.startsWith('No such server')) return true;
  if (STILL_BUSY.test(answer)) return false;
  throw new CommandRefused('del server', answer);
}

async function giveAll(session: Session, given: readonly { readonly command: string; readonly answer: string }[]): Promise<void> {
  const answers = await session.askAll(given.map(({ command }) => command));
  for (const [index, { command, answer }] of given.entries())
    if (answers[index] !== answer) throw new CommandRefused(command, answers[index] ?? '');
}

/** A new version is filled and then takes the place of the old one at once: no request meets half of it. */
async function replaceList(session: Session, { kind, path, entries }: Extract<Step, { do: 'list' }>): Promise<number> {
  const target = commandWord(path);
  const answer = await session.ask(`prepare ${kind} ${target}`);
  const version = /^New version created: (\d+)$/u.exec(answer)?.[1];
  if (version === undefined) throw new CommandRefused(`prepare ${kind}`, answer);
  const added =
    kind === 'map'
      ? payloads(entries).map((payload) => `add map @${version} ${target} <<\n${payload}`)
      : entries.map((entry) => `add acl @${version} ${target} ${commandWord(entry)}`);
  const silently = (command: string) => ({ command, answer: '' });
  await giveAll(session, added.map(silently));
  await giveAll(session, [silently(`commit ${kind} @${version} ${target}`)]);
  return added.length + 2;
}

/** Lines in pieces that fit into HAProxy's buffer; each ends with the empty line that ends a payload. */
function payloads(lines: readonly string[]): readonly string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const line of lines) {
    if (piece !== '' && Buffer.byteLength(piece) + Buffer.byteLength(line) > MAX_COMMAND_BYTES / 2) {
      pieces.push(piece);
      piece = '';
    }
    piece += `${line}\n`;
  }
  return piece === '' ? pieces : [...pieces, piece];
}
