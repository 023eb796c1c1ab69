/**
 * Loaded into controllers with `--import`: kills their process, as `kill -9` does, at the point of a pass that an order names.
 *
 * The order is a file (its path in OCTAVIA_TEST_KILL_ORDER) with a JSON `KillOrder`. It is looked for at each phase of each pass,
 * taken away when it is carried out, and so survives restarts until then. Nothing in the product knows of this: the source of the
 * worker's loop is instrumented while it is loaded.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';

/** The phases of a pass. */
export const killPhases = ['observe', 'plan', 'apply', 'finish'] as const;

/** One of them. */
export type KillPhase = (typeof killPhases)[number];

/** Where to die: at the nth time (from 1) that a phase comes, before it, `ms` after it began (at its end at the latest), or after it. */
export type KillOrder = {
  readonly phase: KillPhase;
  readonly nth: number;
  readonly moment: 'before' | 'within' | 'after';
  readonly ms: number;
};

type Work<T> = () => T | Promise<T>;

const orderFile = process.env['OCTAVIA_TEST_KILL_ORDER'];

/** The order when it is the turn of this phase: it is carried out now, so the file goes. */
function takeOrder(phase: KillPhase): KillOrder | null {
  if (orderFile === undefined || !existsSync(orderFile)) return null;
  const order = JSON.parse(readFileSync(orderFile, 'utf8')) as KillOrder;
  if (order.phase !== phase) return null;
  if (order.nth > 1) {
    writeFileSync(orderFile, JSON.stringify({ ...order, nth: order.nth - 1 }));
    return null;
  }
  rmSync(orderFile);
  return order;
}

const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** Runs a phase, and dies in it when it is its turn. What is not asynchronous stays so. */
function runPhase<T>(phase: KillPhase, work: Work<T>): T | Promise<T> {
  const order = takeOrder(phase);
  if (order === null) return work();
  if (order.moment === 'before') die();
  if (order.moment === 'within') setTimeout(die, order.ms);
  const result = work();
  if (!(result instanceof Promise)) die();
  return Promise.resolve(result).finally(die);
}

/** A provider whose observing, planning and applying are phases. */
function watched(provider: Record<string, (...args: unknown[]) => unknown> | undefined): unknown {
  if (provider === undefined) return provider;
  const phases = new Set<string>(killPhases);
  return new Proxy(provider, {
    get(target, name: string) {
      const method = target[name];
      if (typeof method !== 'function' || !phases.has(name)) return method;
      return (...args: unknown[]) => runPhase(name as KillPhase, () => method.apply(target, args));
    },
  });
}

/** What is put in place of what; each must be there exactly once, or the test would kill nothing. */
const edits: readonly (readonly [string, string])[] = [
  [
    "bench.providers.get(tree.loadbalancer.provider ?? 'amphora')",
    "globalThis.octaviaTest.watched(bench.providers.get(tree.loadbalancer.provider ?? 'amphora'))",
  ],
  ['await finish(bench, lease, tree)', "await globalThis.octaviaTest.runPhase('finish', () => finish(bench, lease, tree))"],
];

function instrument(source: string): string {
  return edits.reduce((text, [from, to]) => {
    if (text.split(from).length !== 2) throw new Error(`the worker's loop has no single "${from}" any more`);
    return text.replace(from, to);
  }, source);
}

if (isMainThread && orderFile !== undefined) {
  Object.assign(globalThis, { octaviaTest: { runPhase, watched } });
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith('/src/worker/reconcile.ts')) return loaded;
      return { ...loaded, source: instrument(String(loaded.source)) };
    },
  });
}
