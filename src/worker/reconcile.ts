/** One claim of one load balancer: load, observe, plan, apply, again until nothing is missing; then finish. */
import type { Database, Tx } from '../db/database.ts';
import { markActive, markDeleted, markFailed, markRefused } from '../db/lifecycle.ts';
import { complete, holdLease, type Lease, LeaseLost, postpone } from '../db/reconciliations.ts';
import { loadTree } from '../db/tree.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { type LoadBalancerTree, Terminal } from '../model/index.ts';
import type { Pass, Plan, Provider, Step, Wait } from '../providers/provider.ts';

/** How failures are met. */
export type Patience = {
  /** Failed passes before the load balancer goes to ERROR. */
  readonly max_attempts: number;
  readonly backoff_base_ms: number;
  readonly backoff_max_ms: number;
  /** How often a load balancer in ERROR is tried again by itself. */
  readonly error_retry_ms: number;
};

/** What a worker works with. */
export type Bench = {
  readonly db: Database;
  readonly providers: ReadonlyMap<string, Provider<unknown, Step, Tx>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly lease_ms: number;
  readonly patience: Patience;
  /** For jitter: 0 ≤ x < 1. */
  readonly random: () => number;
  readonly newId: () => string;
};

/** How a claim ended: `retry_at_ms` says when the load balancer wants to be claimed again. */
export type Ending = { readonly end: 'finished' } | { readonly end: 'postponed'; readonly retry_at_ms: number } | { readonly end: 'lost' };

/** Rounds of observe–plan–apply in one claim: more is a plan that does not converge. */
const max_rounds = 60;

/** Works on a load balancer as long as the lease lasts. Never throws: what fails is recorded in the row. */
export async function reconcile(bench: Bench, lease: Lease, signal: AbortSignal): Promise<Ending> {
  const reconcile_id = bench.newId();
  const log = bench.log.child({ loadbalancer_id: lease.loadbalancer_id, reconcile_id });
  try {
    return await rounds({ ...bench, log }, lease, signal, reconcile_id);
  } catch (error) {
    if (error instanceof LeaseLost) return lost(log);
    try {
      return await fail(bench, lease, error, log);
    } catch (second) {
      if (second instanceof LeaseLost) return lost(log);
      // The database does not answer: the lease runs out and somebody claims the work again.
      log.error({ err: second, first: String(error) }, 'a failed pass could not be recorded');
      return { end: 'postponed', retry_at_ms: bench.clock.now() + bench.lease_ms };
    }
  }
}

const lost = (log: Logger): Ending => {
  log.info('the lease went to another worker');
  return { end: 'lost' };
};

async function rounds(bench: Bench, lease: Lease, signal: AbortSignal, reconcile_id: string): Promise<Ending> {
  const { log } = bench;
  for (let round = 0; round < max_rounds; round += 1) {
    const tree = await loadTree(bench.db.read, lease.loadbalancer_id);
    // Purged meanwhile, and the work with it.
    if (tree === null) throw new LeaseLost(lease.loadbalancer_id);
    const provider = bench.providers.get(tree.loadbalancer.provider ?? 'amphora');
    if (!provider)
      throw new Terminal({ type: 'loadbalancer', id: lease.loadbalancer_id }, `Provider '${tree.loadbalancer.provider}' is not enabled.`);
    if (!provider.describe().reports_back) return leaveAlone(bench, lease, tree);
    const observed = await look(bench, lease, provider, tree, signal);
    if (observed === setAside) continue;
    const plan = provider.plan(tree, observed);
    log.debug({ round, generation: tree.generation, steps: plan.steps.map((step) => step.step), wait: plan.wait?.reason }, 'planned');
    if (plan.steps.length === 0) {
      if (plan.wait) return wait(bench, lease, plan.wait);
      const ending = await finish(bench, lease, tree);
      if (ending) return ending;
      continue;
    }
    const pass: Pass<Tx> = { tree, observed, reconcile_id, signal, revision: lease.fence, write: (change) => write(bench, lease, change) };
    const waited = await applyAll(provider, plan, pass, bench, lease);
    if (waited) return wait(bench, lease, waited);
  }
  throw new Error(`the plan did not converge within ${max_rounds} rounds`);
}

/** What `look` answers when the sight itself showed that a part cannot be served. */
const setAside = Symbol('a part was set aside');

/** Observes; a part that turns out not to be servable is refused, and the next round goes on without it. */
async function look(
  bench: Bench,
  lease: Lease,
  provider: Provider<unknown, Step, Tx>,
  tree: LoadBalancerTree,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await provider.observe(tree, { started_ms: lease.started_ms, revision: lease.fence, signal });
  } catch (error) {
    if (error instanceof Terminal && (await refuse(bench, lease, error))) return setAside;
    throw error;
  }
}

/** Puts the owner of a failure into ERROR. False: it is no part of a load balancer, or was refused before. */
const refuse = (bench: Bench, lease: Lease, { owner, message }: Terminal): Promise<boolean> =>
  write(bench, lease, (tx) => markRefused(tx, owner, message, now(bench)));

/** A transaction that begins by checking the lease. Throws `LeaseLost`. */
const write = <T>(bench: Bench, lease: Lease, change: (tx: Tx) => Promise<T>): Promise<T> =>
  bench.db.tx(async (tx) => {
    await holdLease(tx, bench.db.nowMs(), lease, bench.lease_ms);
    return change(tx);
  });

/** Runs the steps of a plan side by side; all end before the first failure is thrown on, a lost lease before any other. */
async function applyAll(
  provider: Provider<unknown, Step, Tx>,
  plan: Plan,
  pass: Pass<Tx>,
  bench: Bench,
  lease: Lease,
): Promise<Wait | null> {
  const results = await Promise.allSettled(plan.steps.map((step) => provider.apply(step, pass)));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const failure = failures.find((each) => each instanceof LeaseLost) ?? failures.find((each) => !(each instanceof Terminal)) ?? failures[0];
  if (failure instanceof Terminal && (await refuse(bench, lease, failure))) return null;
  if (failure !== undefined) throw failure;
  const waits = results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []));
  return waits.toSorted((a, b) => a.until_ms - b.until_ms)[0] ?? null;
}

async function wait(bench: Bench, lease: Lease, until: Wait): Promise<Ending> {
  await bench.db.tx((tx) => postpone(tx, lease, { not_before_ms: until.until_ms, attempts: lease.attempts, reason: until.reason }));
  return { end: 'postponed', retry_at_ms: until.until_ms };
}

/** Ends the generation; null when it moved meanwhile and the pass goes on. */
async function finish(bench: Bench, lease: Lease, tree: LoadBalancerTree): Promise<Ending | null> {
  const done = await bench.db.tx(async (tx) => {
    if (!(await complete(tx, lease, tree.generation))) return false;
    if (tree.loadbalancer.provisioning_status === 'PENDING_DELETE') await markDeleted(tx, lease.loadbalancer_id, now(bench));
    else if (tree.loadbalancer.provisioning_status !== 'DELETED') await markActive(tx, tree, now(bench));
    return true;
  });
  return done ? { end: 'finished' } : null;
}

/** The provider reports by itself (or never): the queue forgets this generation, the rows stay as they are. */
async function leaveAlone(bench: Bench, lease: Lease, tree: LoadBalancerTree): Promise<Ending> {
  await bench.db.tx((tx) => complete(tx, lease, tree.generation));
  return { end: 'finished' };
}

/** Backs off; after `max_attempts` the load balancer is in ERROR with the reason, and is tried again by itself now and then. */
async function fail(bench: Bench, lease: Lease, error: unknown, log: Logger): Promise<Ending> {
  const { patience } = bench;
  const reason = error instanceof Error ? error.message : String(error);
  const attempts = lease.attempts + 1;
  const isFinal = error instanceof Terminal || attempts >= patience.max_attempts;
  log[isFinal ? 'error' : 'warn']({ err: error, attempts }, isFinal ? 'a load balancer goes to ERROR' : 'a pass failed and is tried again');
  const backoff = Math.min(patience.backoff_max_ms, patience.backoff_base_ms * 2 ** Math.min(20, attempts - 1));
  const pause = isFinal ? patience.error_retry_ms : backoff * (0.5 + bench.random() / 2);
  const not_before_ms = Math.round(bench.clock.now() + pause);
  await bench.db.tx(async (tx) => {
    if (isFinal) {
      const wasDeleting = await markFailed(tx, lease.loadbalancer_id, reason, now(bench));
      // Trying again by itself would bring back what the user wants gone: the next delete request goes on from here.
      if (wasDeleting && (await complete(tx, lease, lease.generation))) return;
    }
    await postpone(tx, lease, { not_before_ms, attempts, reason });
  });
  return { end: 'postponed', retry_at_ms: not_before_ms };
}

/** UTC as the API writes it. */
const now = (bench: Bench): string => new Date(bench.clock.now()).toISOString().slice(0, 19);
