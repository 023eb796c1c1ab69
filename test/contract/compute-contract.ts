/** What every `Compute` must do, as one suite that is run against each implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { CloudRefusal, type Compute, type Instance, type InstanceSpec, type InstanceWish } from '../../src/cloud/compute.ts';

/** An implementation to be tested, with what it needs around it. */
export type ComputeSubject = {
  readonly compute: Compute;
  /** Another object on the same cloud, as a later process would have. */
  readonly again: () => Promise<Compute>;
  /** Makes a port that can be attached and answers its id. */
  readonly createPort: () => Promise<string>;
  /** What an instance is to be, with a new amphora. */
  readonly spec: (changes?: Partial<InstanceSpec>) => InstanceSpec;
  /** Lets time pass, for clouds with a clock of their own. */
  readonly settle?: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** How to run the suite. */
export type ComputeContract = {
  readonly name: string;
  readonly open: () => Promise<ComputeSubject>;
  /** Why none of it can run here; false: it can. */
  readonly unavailable?: string | false;
  /** Tests that do not apply, by their sentence, with the reason. */
  readonly skips?: Readonly<Record<string, string>>;
};

/** Defines the tests. */
export function computeContract(contract: ComputeContract): void {
  for (const [sentence, check] of Object.entries(CHECKS)) {
    const skip = contract.unavailable || contract.skips?.[sentence] || false;
    test(`${contract.name}: ${sentence}`, { skip, timeout: 60_000 }, async () => {
      const subject = await contract.open();
      try {
        await check(subject);
      } finally {
        await subject.close();
      }
    });
  }
}

const CHECKS: Readonly<Record<string, (subject: ComputeSubject) => Promise<void>>> = {
  'an instance becomes active and has an address on the management network': async (subject) => {
    const spec = subject.spec();
    const made = await subject.compute.createInstance(spec);
    assert.equal(made.name, spec.name);
    assert.equal(made.amphora_id, spec.amphora_id);
    assert.equal(made.loadbalancer_id, spec.loadbalancer_id);
    const active = await untilListed(subject, made.compute_id, (instance) => instance.status === 'ACTIVE');
    assert.match(active.lb_network_ip ?? '', /^[0-9a-f.:]+$/u);
    assert.deepEqual(active.port_ids, []);
    assert.equal(active.fault, null);
  },

  'what it says beforehand that it cannot make it does not make, and all else it does': async (subject) => {
    assert.equal(await subject.compute.findRefusal({}), null);
    const wishes: readonly InstanceWish[] = [
      {},
      { compute_flavor: 'no such flavor' },
      { image_tag: 'no such image' },
      { availability_zone: 'no such zone' },
      { volume_zone: 'no such zone' },
    ];
    for (const wish of wishes) {
      const refusal = await subject.compute.findRefusal(wish);
      const made = await subject.compute.createInstance(subject.spec(wish)).catch((error: unknown) => error);
      assert.equal(made instanceof CloudRefusal ? made.message : null, refusal, JSON.stringify(wish));
    }
  },

  'the same name again is the same instance': async (subject) => {
    const spec = subject.spec();
    const first = await subject.compute.createInstance(spec);
    await untilListed(subject, first.compute_id, (instance) => instance.status === 'ACTIVE');
    const second = await subject.compute.createInstance(spec);
    assert.equal(second.compute_id, first.compute_id);
    assert.equal((await subject.compute.listInstances({})).length, 1);
  },

  'the same name twice at once is one instance': async (subject) => {
    const spec = subject.spec();
    const made = await Promise.all([subject.compute.createInstance(spec), subject.compute.createInstance(spec)]);
    assert.equal(made[0]?.compute_id, made[1]?.compute_id);
    await untilListed(subject, made[0]?.compute_id ?? '', (instance) => instance.status === 'ACTIVE');
    assert.equal((await subject.compute.listInstances({})).length, 1);
  },

  'instances are listed by load balancer': async (subject) => {
    const loadbalancer_id = randomUUID();
    const mine = await subject.compute.createInstance(subject.spec({ loadbalancer_id }));
    const other = await subject.compute.createInstance(subject.spec());
    await untilListed(subject, mine.compute_id, () => true);
    await untilListed(subject, other.compute_id, () => true);
    assert.deepEqual(ids(await subject.compute.listInstances({ loadbalancer_id })), [mine.compute_id]);
    assert.deepEqual(ids(await subject.compute.listInstances({ loadbalancer_id: randomUUID() })), []);
  },

  'another object on the same cloud sees the instance and can remove it': async (subject) => {
    const { compute_id } = await subject.compute.createInstance(subject.spec());
    await untilListed(subject, compute_id, (instance) => instance.status === 'ACTIVE');
    const later = await subject.again();
    assert.deepEqual(ids(await later.listInstances({})), [compute_id]);
    await later.deleteInstance(compute_id);
    await untilGone(subject, compute_id);
  },

  'a port that is attached is listed, and attaching it again is success': async (subject) => {
    const { compute_id } = await subject.compute.createInstance(subject.spec());
    await untilListed(subject, compute_id, (instance) => instance.status === 'ACTIVE');
    const [first, second] = [await subject.createPort(), await subject.createPort()];
    await subject.compute.attachPort(compute_id, first);
    await subject.compute.attachPort(compute_id, first);
    await subject.compute.attachPort(compute_id, second);
    const instance = await untilListed(subject, compute_id, ({ port_ids }) => port_ids.length === 2);
    assert.deepEqual(instance.port_ids.toSorted(), [first, second].toSorted());
  },

  'a port that is detached is no longer listed, and detaching it again is success': async (subject) => {
    const { compute_id } = await subject.compute.createInstance(subject.spec());
    await untilListed(subject, compute_id, (instance) => instance.status === 'ACTIVE');
    const port_id = await subject.createPort();
    await subject.compute.attachPort(compute_id, port_id);
    await subject.compute.detachPort(compute_id, port_id);
    await subject.compute.detachPort(compute_id, port_id);
    await untilListed(subject, compute_id, ({ port_ids }) => port_ids.length === 0);
    await subject.compute.attachPort(compute_id, port_id);
    await untilListed(subject, compute_id, ({ port_ids }) => port_ids.length === 1);
  },

  'a port cannot be attached to an instance that does not exist': async (subject) => {
    const port_id = await subject.createPort();
    await assert.rejects(subject.compute.attachPort(randomUUID(), port_id));
  },

  'an instance that is deleted is gone, and deleting it again is success': async (subject) => {
    const { compute_id } = await subject.compute.createInstance(subject.spec());
    await subject.compute.deleteInstance(compute_id);
    await untilGone(subject, compute_id);
    await subject.compute.deleteInstance(compute_id);
    await subject.compute.deleteInstance(randomUUID());
  },

  'a name can be used again after its instance was deleted, and the new one is empty': async (subject) => {
    const spec = subject.spec();
    const first = await subject.compute.createInstance(spec);
    await untilListed(subject, first.compute_id, (instance) => instance.status === 'ACTIVE');
    await subject.compute.attachPort(first.compute_id, await subject.createPort());
    await subject.compute.deleteInstance(first.compute_id);
    await untilGone(subject, first.compute_id);
    const second = await subject.compute.createInstance(spec);
    const active = await untilListed(subject, second.compute_id, (instance) => instance.status === 'ACTIVE');
    assert.deepEqual(active.port_ids, []);
  },

  'deleting while it is being created ends without the instance': async (subject) => {
    const spec = subject.spec();
    const { compute_id } = await subject.compute.createInstance(spec);
    await Promise.all([subject.compute.createInstance(spec), subject.compute.deleteInstance(compute_id)]);
    await subject.compute.deleteInstance(compute_id);
    await untilGone(subject, compute_id);
  },
};

function ids(instances: readonly Instance[]): readonly string[] {
  return instances.map(({ compute_id }) => compute_id);
}

async function untilListed(subject: ComputeSubject, compute_id: string, isAsWanted: (instance: Instance) => boolean): Promise<Instance> {
  const found = await until(subject, async () => {
    const instance = (await subject.compute.listInstances({})).find((each) => each.compute_id === compute_id);
    return instance !== undefined && isAsWanted(instance) ? instance : null;
  });
  return found ?? assert.fail(`instance ${compute_id} is not as wanted after 10 s`);
}

async function untilGone(subject: ComputeSubject, compute_id: string): Promise<void> {
  const gone = await until(subject, async () => (ids(await subject.compute.listInstances({})).includes(compute_id) ? null : true));
  assert.ok(gone, `instance ${compute_id} is still there after 10 s`);
}

async function until<T>(subject: ComputeSubject, look: () => Promise<T | null>): Promise<T | null> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found !== null || Date.now() > deadline) return found;
    await subject.settle?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
