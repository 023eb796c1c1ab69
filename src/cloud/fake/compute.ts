/**
 * Compute without computers (`compute_noop_driver`): instances with a state of their own, that take time to build, may
 * end in ERROR, may be listed late, and may be lost. Names are not unique here, as in Nova: asking twice makes two.
 */
import type { Clock } from '../../lib/clock.ts';
import { Retry } from '../../model/index.ts';
import { CloudRefusal, type Compute, type Instance, type InstanceSpec, type InstanceWish } from '../compute.ts';

/** How the cloud behaves; every probability is 0 by default. */
export type FakeComputeOptions = {
  readonly clock: Clock;
  readonly newId: () => string;
  /** From `createInstance` to ACTIVE; upstream's no-op driver: 0. */
  readonly build_ms?: number;
  /** The address of every instance; absent: one of its own for each. */
  readonly lb_network_ip?: string;
  /** How long after it is made an instance is first listed, at most. */
  readonly late_listing_ms?: number;
  readonly random?: () => number;
  /** Why a wish cannot be granted; without it everything can, as with upstream's no-op driver. */
  readonly refusalOf?: (wish: InstanceWish) => string | null;
  readonly chance_of?: { readonly build_error?: number; readonly refusal?: number; readonly no_answer?: number };
};

type Body = {
  readonly spec: InstanceSpec;
  readonly instance: Instance;
  readonly ready_ms: number;
  readonly listed_ms: number;
  readonly fails: boolean;
  port_ids: string[];
};

/** Compute in memory; beside the interface it can be looked into and broken by tests. */
export class FakeCompute implements Compute {
  readonly #options: FakeComputeOptions;
  readonly #bodies = new Map<string, Body>();
  /** The same by load balancer: each look at one asks for its own. */
  readonly #bodiesOf = new Map<string, Set<Body>>();
  #serial = 0;

  constructor(options: FakeComputeOptions) {
    this.#options = options;
  }

  async findRefusal(wish: InstanceWish): Promise<string | null> {
    this.#mayFail();
    return this.#options.refusalOf?.(wish) ?? null;
  }

  async createInstance(spec: InstanceSpec): Promise<Instance> {
    const { clock, newId, build_ms = 0, late_listing_ms = 0 } = this.#options;
    this.#mayFail();
    const refusal = this.#options.refusalOf?.(spec) ?? null;
    if (refusal !== null) throw new CloudRefusal(refusal);
    if (this.#happens(this.#options.chance_of?.refusal)) throw new CloudRefusal('Quota exceeded for instances.');
    const created_ms = clock.now();
    const compute_id = newId();
    this.#serial += 1;
    const instance: Instance = {
      compute_id,
      name: spec.name,
      amphora_id: spec.amphora_id,
      loadbalancer_id: spec.loadbalancer_id,
      status: 'BUILD',
      fault: null,
      lb_network_ip: this.#options.lb_network_ip ?? `192.0.2.${1 + (this.#serial % 250)}`,
      port_ids: [],
      cached_zone: spec.availability_zone,
      image_id: null,
      compute_flavor: spec.compute_flavor,
      created_ms,
    };
    const listed_ms = created_ms + late_listing_ms * this.#random();
    this.#keep({
      spec,
      instance,
      ready_ms: created_ms + build_ms,
      listed_ms,
      fails: this.#happens(this.#options.chance_of?.build_error),
      port_ids: [],
    });
    return { ...instance, lb_network_ip: null };
  }

  async listInstances(filter: { readonly loadbalancer_id?: string }): Promise<readonly Instance[]> {
    this.#mayFail();
    const now = this.#options.clock.now();
    const { loadbalancer_id } = filter;
    const bodies = loadbalancer_id === undefined ? this.#bodies.values() : (this.#bodiesOf.get(loadbalancer_id) ?? []);
    return [...bodies].filter((body) => body.listed_ms <= now).map((body) => this.#look(body));
  }

  async deleteInstance(compute_id: string): Promise<void> {
    this.#mayFail();
    this.lose(compute_id);
  }

  async attachPort(compute_id: string, port_id: string): Promise<void> {
    this.#mayFail();
    const body = this.#bodies.get(compute_id);
    if (!body || this.#look(body).status !== 'ACTIVE') throw new Retry(`Instance ${compute_id} is not ACTIVE.`);
    if (!body.port_ids.includes(port_id)) body.port_ids.push(port_id);
  }

  async detachPort(compute_id: string, port_id: string): Promise<void> {
    this.#mayFail();
    const body = this.#bodies.get(compute_id);
    if (body) body.port_ids = body.port_ids.filter((each) => each !== port_id);
  }

  /** Every instance there is, also those not listed yet. */
  all(): readonly Instance[] {
    return [...this.#bodies.values()].map((body) => this.#look(body));
  }

  /** One of them; undefined when there is none. */
  find(compute_id: string): Instance | undefined {
    const body = this.#bodies.get(compute_id);
    return body && this.#look(body);
  }

  /** What an instance was asked to be. */
  specOf(compute_id: string): InstanceSpec | null {
    return this.#bodies.get(compute_id)?.spec ?? null;
  }

  /** The cloud loses an instance: gone without a trace. */
  lose(compute_id: string): void {
    const body = this.#bodies.get(compute_id);
    if (body === undefined) return;
    this.#bodies.delete(compute_id);
    const ofSame = this.#bodiesOf.get(body.spec.loadbalancer_id);
    ofSame?.delete(body);
    if (ofSame?.size === 0) this.#bodiesOf.delete(body.spec.loadbalancer_id);
  }

  #keep(body: Body): void {
    this.#bodies.set(body.instance.compute_id, body);
    const { loadbalancer_id } = body.spec;
    this.#bodiesOf.set(loadbalancer_id, (this.#bodiesOf.get(loadbalancer_id) ?? new Set()).add(body));
  }

  #look(body: Body): Instance {
    const isReady = body.ready_ms <= this.#options.clock.now();
    const status = !isReady ? 'BUILD' : body.fails ? 'ERROR' : 'ACTIVE';
    const fault = status === 'ERROR' ? 'No valid host was found.' : null;
    return {
      ...body.instance,
      status,
      fault,
      lb_network_ip: status === 'ACTIVE' ? body.instance.lb_network_ip : null,
      port_ids: [...body.port_ids],
    };
  }

  #mayFail(): void {
    if (this.#happens(this.#options.chance_of?.no_answer)) throw new Retry('The compute service does not answer.');
  }

  #happens(chance = 0): boolean {
    return chance > 0 && this.#random() < chance;
  }

  #random(): number {
    return this.#options.random?.() ?? 0;
  }
}
