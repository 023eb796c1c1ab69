/** Changes a running worker by commands where that can be done, and keeps what it then holds. */
import { readFile } from 'node:fs/promises';
import type { Log } from '../log.ts';
import type { Held, HeldFile } from './held.ts';
import { planRuntime } from './plan.ts';
import { parseServerLine } from './server-line.ts';
import { Session } from './session.ts';
import type { RuntimePlan, ServerLines, Step, TlsHeld } from './steps.ts';
import { carryOut, viewWorker } from './worker.ts';
import type { Outcome, WorkerView } from './worker.ts';
import { sectionsOf } from './sections.ts';

/** What a worker is to hold. */
export type Wanted = Pick<Held, 'text' | 'md5' | 'fingerprint' | 'certificates'> & {
  /** Entries of the lists that the configuration names. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** Paths of certificates in the lists of listeners, by the path of the list. */
  readonly crtLists: ReadonlyMap<string, readonly string[]>;
};

/** Where its lists lie and its worker listens. */
export type Target = { readonly statsSocket: string | undefined; readonly lists_folder: string };

/** What came of it: done by commands, or why it must be a reload. */
export type Changed = Outcome | { readonly reason: string };

/** Gives commands to workers. Calls must not overlap. */
export class Changer {
  readonly #held: HeldFile;
  readonly #log: Log;

  constructor(held: HeldFile, log: Log) {
    this.#held = held;
    this.#log = log;
  }

  /**
   * Makes the worker hold what is wanted. Never throws for what HAProxy does or says: then it is a reload, which puts everything right,
   * whatever has been changed by then.
   */
  async change(held: Held, wanted: Wanted, target: Target): Promise<Changed> {
    if (held.certificates !== wanted.certificates) return { reason: 'certificates change' };
    if (target.statsSocket === undefined) return { reason: 'HAProxy has no stats socket' };
    try {
      return await this.#converse(held, wanted, target.statsSocket, target.lists_folder);
    } catch (error) {
      this.#log('warn', 'HAProxy was not changed by commands', { error });
      return { reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async #converse(held: Held, wanted: Wanted, socket: string, lists_folder: string): Promise<Changed> {
    const session = await Session.open(socket);
    try {
      const view = await viewWorker(session, lists_folder);
      if (view.pid !== held.pid) return { reason: 'another worker answers' };
      const plan = planFor(held, wanted, view);
      if (plan.by === 'reload') return plan;
      await this.#held.keep({
        ...held,
        extra: linesBefore(held, wanted.text, plan.steps),
        tls: tlsBefore(held.tls, plan.steps),
        is_unsure: true,
      });
      const outcome = await carryOut(session, plan.steps, readSecret);
      await this.#held.keep({ ...held, ...contentOf(wanted), extra: linesAfter(held, outcome.busy), tls: plan.tls, is_unsure: false });
      return outcome;
    } finally {
      session.end();
    }
  }
}

/** The plan that makes a worker hold what is wanted. */
export function planFor(held: Held, wanted: Pick<Wanted, 'text' | 'lists' | 'crtLists'>, view: WorkerView): RuntimePlan {
  return planRuntime({
    held: held.text,
    extra: held.extra,
    wanted: wanted.text,
    lists: wanted.lists,
    tls: held.tls,
    crtLists: wanted.crtLists,
    seen: view.seen,
    version: view.version,
  });
}

const contentOf = ({ text, md5, fingerprint, certificates }: Wanted) => ({ text, md5, fingerprint, certificates });

/** Files that are being exchanged have an unknown content until that is done. */
export function tlsBefore(tls: TlsHeld, steps: readonly Step[]): TlsHeld {
  const touched = steps.flatMap((step) => (step.do === 'certificate' ? [[step.path, ''] as const] : []));
  return touched.length === 0 ? tls : { ...tls, ...Object.fromEntries(touched) };
}

/** Reads a file with secrets as it is. */
export const readSecret = (path: string): Promise<string> => readFile(path, 'utf8');

/** What servers may be while commands are given: those to come besides those that are there. */
function linesBefore(held: Held, wanted: string, steps: readonly Step[]): ServerLines {
  const commands = steps.flatMap((step) => (step.do === 'command' ? [step.command] : []));
  const added = commands.filter((command) => command.startsWith('add server ')).map((command) => command.split(' ')[2] ?? '');
  if (added.length === 0) return held.extra;
  const servers = serversIn(wanted);
  const extra: Record<string, readonly (readonly string[])[]> = { ...held.extra };
  for (const key of added) extra[key] = [...(extra[key] ?? []), servers[key] ?? []];
  return extra;
}

/** What servers may be afterwards besides those of the configuration: those that are leaving. */
function linesAfter(held: Held, busy: readonly string[]): ServerLines {
  if (busy.length === 0) return {};
  const before = serversIn(held.text);
  const linesOf = (key: string) => [...(held.extra[key] ?? []), ...(before[key] === undefined ? [] : [before[key]])];
  return Object.fromEntries(busy.map((key) => [key, linesOf(key)]));
}

/** Words of all servers of a configuration, by `<backend>/<server>`; none when it cannot be read. */
export function serversIn(config: string): Readonly<Record<string, readonly string[]>> {
  const servers: Record<string, readonly string[]> = {};
  for (const section of sectionsOf(config) ?? [])
    for (const { tokens } of section.lines)
      if (section.kind === 'backend' && parseServerLine(tokens) !== undefined) servers[`${section.name}/${tokens[1]}`] = tokens;
  return servers;
}
