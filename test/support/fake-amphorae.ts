/** An API whose load balancers are served by the amphora provider on clouds in memory: everything but machines is real. */
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { FakeCompute, type FakeComputeOptions } from '../../src/cloud/fake/compute.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { Tools } from '../../src/providers/amphora/apply.ts';
import { FakeAgents } from '../../src/providers/amphora/fake-agents.ts';
import { amphoraProvider } from '../../src/providers/amphora/provider.ts';
import { TlsMaterial } from '../../src/providers/amphora/tls-material.ts';
import type { Provider, Step } from '../../src/providers/provider.ts';
import type { Tx } from '../../src/db/database.ts';
import { createNoopNetwork } from '../../src/cloud/fake/network.ts';
import { startWorker, type Worker } from '../../src/worker/worker.ts';
import { renderForTest } from '../crash/world.ts';
import { type ApiTest, type ApiTestOptions, withApi } from './api.ts';
import { until } from './octavia.ts';

/** What a test may choose. */
export type FakeAmphoraeOptions = Omit<ApiTestOptions, 'worker' | 'provider'> & {
  readonly compute?: Partial<FakeComputeOptions>;
  readonly tools?: Partial<Tools>;
};

/** The API and the clouds behind it. */
export type FakeAmphorae = ApiTest & {
  readonly compute: FakeCompute;
  readonly agents: FakeAgents;
  /** Makes a load balancer, with a listener unless the body says otherwise, and waits until it is ACTIVE; answers its id. */
  create(body: object): Promise<string>;
  /** Waits until a load balancer is ACTIVE and there is nothing left to do for it. */
  settled(id: string): Promise<void>;
};

/** The subnet of VIPs. */
export const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

/** Starts it all; it ends with the test. */
export async function withAmphorae(t: TestContext, options: FakeAmphoraeOptions = {}): Promise<FakeAmphorae> {
  const network = options.network ?? createNoopNetwork();
  const compute = new FakeCompute({ clock: systemClock, newId: randomUUID, ...options.compute });
  const agents = new FakeAgents({ compute });
  const provider = amphoraProvider({ ...toolsOf(compute, agents, network), ...options.tools }, 'amphora', '');
  let worker: Worker | null = null;
  // Before the database's own: hooks run in the order in which they were given.
  t.after(() => worker?.stop());
  const api = await withApi(t, { ...options, network, worker: false, provider });
  const known = provider as Provider<unknown, Step, Tx>;
  worker = await startWorker({
    db: api.db,
    providers: new Map(['amphora', 'octavia'].map((name) => [name, known])),
    clock: systemClock,
    log: silentLogger,
    lease_ms: 10_000,
    patience: { max_attempts: 8, backoff_base_ms: 10, backoff_max_ms: 100, error_retry_ms: 120_000 },
    random: Math.random,
    newId: randomUUID,
    owner: 'test',
    concurrency: 10,
    poll_ms: 100,
  });
  const settled = async (id: string): Promise<void> => {
    await until(async () => {
      const lb = await api.db.read.selectFrom('loadbalancer').select('provisioning_status').where('id', '=', id).executeTakeFirstOrThrow();
      const work = await api.db.read.selectFrom('reconciliation').selectAll().where('loadbalancer_id', '=', id).executeTakeFirstOrThrow();
      return lb.provisioning_status === 'ACTIVE' && work.generation === work.applied_generation;
    }, `${id} is settled`);
  };
  const create = async (body: object): Promise<string> => {
    const whole = { project_id: 'p', vip_subnet_id: SUBNET, listeners: [{ protocol: 'HTTP', protocol_port: 80 }], ...body };
    const answer = await api.call('POST', '/loadbalancers', { loadbalancer: whole });
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
    await settled(answer.body.loadbalancer.id);
    return answer.body.loadbalancer.id;
  };
  return { ...api, compute, agents, create, settled };
}

function toolsOf(compute: FakeCompute, agents: FakeAgents, network: ReturnType<typeof createNoopNetwork>): Tools {
  return {
    compute,
    ports: network,
    catalog: network,
    agents,
    limits: { boot_timeout_ms: 30_000, late_listing_ms: 0, silence_timeout_ms: 1000 },
    now: systemClock.now,
    newId: randomUUID,
    render: renderForTest,
    tls_material: new TlsMaterial(null),
    issueCertificate: async (id) => ({
      certificate: '',
      key: new Secret(''),
      pem: new Secret(`pem ${id}`),
      serial: '1',
      not_after: new Date(Date.now() + 2_592_000_000),
    }),
    bootFiles: () => [],
    agentConfiguration: (lb, amphora) => `of amphora ${amphora.id} of ${lb.id}`,
    boot_network_ids: ['management'],
    build_rate_limit: -1,
  };
}
