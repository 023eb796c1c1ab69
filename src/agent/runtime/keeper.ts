/**
 * Keeps the running worker equal to its configuration: finishes changes that were broken off, removes servers whose connections have
 * ended, and repairs what went astray (somebody's command, a crash, what a reload took over from the worker before).
 */
import type { ChangeReport } from '../../wire/agent-api.ts';
import type { Log } from '../log.ts';
import type { ChangeLog } from './change-log.ts';
import { CertificateLook } from './certificate-look.ts';
import { planFor, readSecret } from './changer.ts';
import type { Target, Wanted } from './changer.ts';
import type { Held, HeldFile } from './held.ts';
import { Session } from './session.ts';
import type { Step } from './steps.ts';
import { carryOut, endServer, viewWorker } from './worker.ts';
import type { WorkerView } from './worker.ts';

/** A check costs a millisecond for a small load balancer, some ten for a thousand members. */
const CHECK_EVERY_MS = 10_000;
/** A reload that repairs nothing must not become many. */
const RELOAD_EVERY_MS = 60_000;
/** How long a server that was removed may keep its connections when the configuration does not bound those of old workers. */
const DEFAULT_LEAVE_SECONDS = 3600;

/** What is kept, and how. */
export type Kept = {
  readonly held: HeldFile;
  readonly changes: ChangeLog;
  /** What the present worker holds; undefined when none runs, `unknown` when one runs that nobody knows. */
  current(): Promise<Held | 'unknown' | undefined>;
  /** What the files say beside this configuration. */
  wanted(held: Held): Promise<Wanted>;
  target(held: Held): Target;
  /** Has the accepted configuration checked, unless it was. */
  check(): Promise<void>;
  /** Makes HAProxy follow the accepted configuration. */
  run(): Promise<ChangeReport>;
};

/** Looks from time to time; a look must not overlap with a change. */
export class Keeper {
  readonly #kept: Kept;
  readonly #log: Log;
  readonly #certificates = new CertificateLook();
  readonly #leaving = new Map<string, number>();
  #checked_at = -Infinity;
  #reloaded_at = -Infinity;

  constructor(kept: Kept, log: Log) {
    this.#kept = kept;
    this.#log = log;
  }

  /** Is there something to look at by now? Cheap: asked once a second. */
  async isDue(): Promise<boolean> {
    if (performance.now() - this.#checked_at >= CHECK_EVERY_MS) return true;
    const held = await this.#kept.held.read();
    return held !== undefined && (held.is_unsure || Object.keys(held.extra).length > 0);
  }

  /** Looks once. Throws `SessionError`, and the refusals of a reload. */
  async look(): Promise<void> {
    const isWhole = performance.now() - this.#checked_at >= CHECK_EVERY_MS;
    if (isWhole) this.#checked_at = performance.now();
    const held = await this.#kept.current();
    if (held === undefined) return;
    if (isWhole) await this.#kept.check();
    if (held === 'unknown' || held.is_unsure)
      return this.#reload(held === 'unknown' ? 'an unknown worker runs' : 'a change was broken off');
    const { statsSocket, lists_folder } = this.#kept.target(held);
    if (statsSocket === undefined) return;
    const session = await Session.open(statsSocket);
    try {
      const view = await viewWorker(session, lists_folder);
      if (view.pid === held.pid) await this.#compare(held, view, session);
    } finally {
      session.end();
    }
  }

  async #compare(held: Held, view: WorkerView, session: Session): Promise<void> {
    const tls = await this.#certificates.compare(session, held.tls);
    const plan = planFor({ ...held, tls }, await this.#kept.wanted(held), view);
    if (plan.by === 'reload') {
      await this.#kept.held.keep({ ...held, is_unsure: true });
      return this.#reload(plan.reason);
    }
    const removals = plan.steps.filter((step) => step.do === 'remove');
    const repairs = plan.steps.filter((step) => step.do !== 'remove');
    if (repairs.length > 0) {
      this.#log('warn', 'the running HAProxy was not what its configuration says, and is repaired', { steps: repairs.map(describe) });
      await carryOut(session, repairs, readSecret);
      await this.#kept.changes.noteRepairs(repairs.length);
    }
    await this.#removeLeaving(held, removals, session);
  }

  async #removeLeaving(held: Held, removals: readonly Extract<Step, { do: 'remove' }>[], session: Session): Promise<void> {
    const now = performance.now();
    for (const { server } of removals) {
      const since = this.#leaving.get(server) ?? now;
      this.#leaving.set(server, since);
      if (now - since >= leaveLimit_ms(held.text)) await endServer(session, server);
    }
    const { busy } = await carryOut(session, removals, readSecret);
    for (const server of this.#leaving.keys()) if (!busy.includes(server)) this.#leaving.delete(server);
    const extra = Object.fromEntries(Object.entries(held.extra).filter(([server]) => busy.includes(server)));
    if (Object.keys(extra).length !== Object.keys(held.extra).length) await this.#kept.held.keep({ ...held, extra });
  }

  async #reload(reason: string): Promise<void> {
    if (performance.now() - this.#reloaded_at < RELOAD_EVERY_MS) return;
    this.#reloaded_at = performance.now();
    this.#log('warn', 'the running HAProxy may not be what its configuration says', { reason });
    await this.#kept.run();
  }
}

/** Without values: those of a list may be the tenant's. */
function describe(step: Step): string {
  if (step.do === 'command') return step.command.split(' ').slice(0, 3).join(' ');
  return `${step.do} ${step.do === 'remove' ? step.server : step.path}`;
}

/** The connections of a removed member may last as long as those of an old worker would after a reload. */
function leaveLimit_ms(config: string): number {
  return 1000 * Number(/^\s+hard-stop-after (\d+)s$/mu.exec(config)?.[1] ?? DEFAULT_LEAVE_SECONDS);
}
