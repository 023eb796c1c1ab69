/** What carries out a load balancer: the interface that each provider implements. */
import type { LoadBalancerTree, Owner } from '../model/index.ts';

/** A change that the API is about to commit; `tree` is the load balancer as it would be afterwards. */
export type Change = { readonly action: 'create' | 'update' | 'delete' | 'failover'; readonly owner: Owner };

/** One thing to do now. Providers extend it with what the step needs. */
export type Step = { readonly step: string; readonly owner: Owner };

/** Work that may start only later: the pass ends, and the load balancer is not claimed before `until_ms` (epoch). */
export type Wait = { readonly until_ms: number; readonly reason: string };

/** What may be done now, all of it independent of each other. No steps and no wait: nothing is missing. */
export type Plan<S extends Step = Step> = { readonly steps: readonly S[]; readonly wait: Wait | null };

/** What the worker lends to a step. */
export type Pass<Tx> = {
  readonly tree: LoadBalancerTree;
  /** What `observe` answered for this plan. */
  readonly observed: unknown;
  /** Runs a transaction that first checks the lease and its fence; throws `LeaseLost` when they are another's. */
  readonly write: <T>(change: (tx: Tx) => Promise<T>) => Promise<T>;
  /** Aborted when the lease is about to run out. */
  readonly signal: AbortSignal;
  /** Names this pass in logs. */
  readonly reconcile_id: string;
  /** Grows with every claim of the load balancer: agents refuse an older one, so a worker that lost its lease cannot overwrite a newer one's work. */
  readonly revision: number;
};

/** One thing that a flavor (an availability zone) can say to a provider. */
export type Capability = {
  readonly name: string;
  readonly description: string;
  readonly type: 'string' | 'boolean' | 'array';
  /** The only words that are understood. */
  readonly words?: readonly string[];
};

/** What flavors (availability zones) can say to a provider. */
export type Metadata = {
  readonly capabilities: readonly Capability[];
  /** Is anything else taken, too? */
  readonly isOpen: boolean;
  /** Why the cloud cannot give what well-formed data asks for; null: it can. Throws `Retry` when the cloud does not answer. */
  findRefusal(data: unknown): Promise<string | null>;
};

/** A provider: `validate` may throw `Fault`; `observe` and `apply` may throw `Retry`, `apply` also `Terminal`. */
export interface Provider<Observed, S extends Step, Tx> {
  describe(): { readonly name: string; readonly description: string; readonly reports_back: boolean };
  /** Absent: it knows neither flavors nor availability zones. */
  readonly metadata?: { readonly flavor: Metadata; readonly availability_zone: Metadata };
  validate(tree: LoadBalancerTree, change: Change): void;
  /**
   * `started_ms`: when the present work began (epoch); `revision` as in `Pass`: whatever is looked at obeys nobody older from
   * then on, so that what was seen stays true until the pass ends.
   */
  observe(
    tree: LoadBalancerTree,
    work: { readonly started_ms: number; readonly revision: number; readonly signal: AbortSignal },
  ): Promise<Observed>;
  /** Pure: ids and time come in with `observed`. */
  plan(tree: LoadBalancerTree, observed: Observed): Plan<S>;
  /** May answer `Wait` when the step's turn has not come. */
  apply(step: S, pass: Pass<Tx>): Promise<Wait | void>;
}
