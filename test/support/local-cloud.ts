/** A local cloud for tests: real namespaces and processes, with ports kept in a file and an init that only waits. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceSpec } from '../../src/cloud/compute.ts';
import { destroyState } from '../../src/cloud/local/compute/destroy.ts';
import { LocalCompute } from '../../src/cloud/local/compute/local-compute.ts';
import type { LocalComputeOptions } from '../../src/cloud/local/compute/local-compute.ts';
import { prepareRuntime } from '../../src/cloud/local/compute/runtime.ts';
import { LocalFabric } from '../../src/cloud/local/fabric/fabric.ts';
import { newStateId } from '../../src/cloud/local/fabric/names.ts';
import { chooseRanges, readTakenRanges, uniqueLocalRange } from '../../src/cloud/local/fabric/ranges.ts';
import type { WiredNetwork, PortWiring } from '../../src/cloud/local/fabric/wiring.ts';
import { silentLogger } from '../../src/lib/log.ts';
import type { Logger } from '../../src/lib/log.ts';
import { claimNumber, releaseNumber } from './namespaces.ts';
import { TestPorts } from './local-ports.ts';
import type { TestNetwork } from './local-ports.ts';

/** What a test gets. */
export type TestCloud = {
  readonly state_id: string;
  readonly state_dir: string;
  readonly fabric: LocalFabric;
  readonly compute: LocalCompute;
  readonly ports: TestPorts;
  readonly management: TestNetwork;
  /** A tenant's network. Those that the host does not reach all have the same addresses. */
  readonly addNetwork: (options?: { readonly host_reachable?: boolean }) => Promise<TestNetwork>;
  /** A port in a network. */
  readonly addPort: (on: TestNetwork) => PortWiring;
  /** Removes everything, also what a failed test left. */
  readonly destroy: () => Promise<void>;
};

type CloudOptions = { readonly init?: string; readonly log?: Logger } & Partial<LocalComputeOptions>;

/** What is drawn once for a state of a test. */
type State = { readonly pool: number; readonly state_id: string; readonly ranges: readonly string[]; readonly management_id: string };

/** An init that does nothing and ends when it is asked to. */
const WAITING_INIT = `#!/bin/sh
trap 'kill $!; exit 0' TERM
echo "waiting in $OCTAVIA_AMPHORA_DIR"
while :; do sleep 1000 & wait $!; done
`;

/** Makes a local cloud with a new state id in a temporary folder. */
export async function createLocalCloud(options: CloudOptions = {}): Promise<TestCloud> {
  return openLocalCloud(await mkdtemp(join(tmpdir(), 'octavia-test-')), options);
}

/** Opens a state folder again with new objects, as a later process does. */
export async function openLocalCloud(state_dir: string, options: CloudOptions = {}): Promise<TestCloud> {
  const { init = WAITING_INIT, log = silentLogger, ...overrides } = options;
  const { state_id, ranges, pool, management_id } = await readState(state_dir);
  const fabric = new LocalFabric({ state_id, state_dir, log });
  const place = { state_id, cidr: ranges[0] ?? '', index: 0 };
  const management = testNetwork({ id: management_id, host_reachable: true, is_management: true }, place);
  const ports = new TestPorts(state_dir, management);
  const compute = new LocalCompute({
    state_id,
    state_dir,
    log,
    fabric,
    runtime: await standInRuntime(state_dir, init),
    portOf: async (port_id) => ports.find(port_id),
    allocateManagementAddress: async (amphora_id) => ports.allocate(amphora_id),
    releaseManagementAddress: async (amphora_id) => ports.release(amphora_id),
    ...overrides,
  });
  let networks = 0;
  return {
    state_id,
    state_dir,
    fabric,
    management,
    ports,
    compute,
    addNetwork: async ({ host_reachable = false } = {}) => {
      networks += 1;
      const cidr = host_reachable ? (ranges[networks] ?? '') : '10.77.0.0/24';
      const made = testNetwork({ id: randomUUID(), host_reachable, is_management: false }, { state_id, cidr, index: networks });
      await fabric.ensure(made.network, made.subnets);
      return made;
    },
    addPort: (on) => ports.add(on),
    destroy: async () => {
      await destroyState(state_dir, state_id);
      await rm(state_dir, { recursive: true, force: true });
      releaseNumber('pool', pool);
    },
  };
}

/** What an instance of a test is to be. */
export function instanceSpec(changes: Partial<InstanceSpec> = {}): InstanceSpec {
  const amphora_id = changes.amphora_id ?? randomUUID();
  return {
    name: `amphora-${amphora_id}`,
    amphora_id,
    loadbalancer_id: randomUUID(),
    compute_flavor: null,
    image_tag: null,
    availability_zone: null,
    volume_zone: null,
    server_group_id: null,
    network_ids: [],
    files: [{ path: '/etc/octavia/amphora-agent.conf', mode: 0o600, contents: '[DEFAULT]\n' }],
    ...changes,
  };
}

async function readState(state_dir: string): Promise<State> {
  const path = join(state_dir, 'test-state.json');
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as State;
  // Clouds of tests side by side must not choose the same ranges, which are free until the first leg is made.
  const { number } = claimNumber('pool', 16);
  const ranges = chooseRanges(await readTakenRanges(), 8, { pool: `198.18.${128 + 8 * number}.0/21` });
  const drawn = { state_id: newStateId(), ranges, pool: number, management_id: randomUUID() };
  writeFileSync(path, JSON.stringify(drawn));
  return drawn;
}

async function standInRuntime(state_dir: string, init: string): Promise<LocalComputeOptions['runtime']> {
  const sources = { nodeBinary: process.execPath, agentBundle: join(state_dir, 'agent.mjs'), initScript: join(state_dir, 'init.sh') };
  writeFileSync(sources.agentBundle, '');
  writeFileSync(sources.initScript, init);
  return prepareRuntime(state_dir, sources);
}

function testNetwork(kind: Omit<WiredNetwork, 'mtu'>, place: { state_id: string; cidr: string; index: number }): TestNetwork {
  const base4 = place.cidr.replace(/\.0\/24$/u, '');
  const range6 = uniqueLocalRange(Buffer.from(`${place.state_id}0000`, 'hex'), place.index);
  const base6 = range6.replace('::/64', '');
  const subnets = [
    { ip_version: 4, cidr: place.cidr, gateway_ip: `${base4}.1` },
    { ip_version: 6, cidr: range6, gateway_ip: `${base6}::1` },
  ] as const;
  return { network: { mtu: 1500, ...kind }, subnets, base4, base6 };
}
