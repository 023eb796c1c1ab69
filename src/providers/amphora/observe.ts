/** Looks at everything outside that concerns one load balancer: cloud, network and agents, all asked at once. */
import { createHash } from 'node:crypto';
import type { Compute, Instance } from '../../cloud/compute.ts';
import type { Network, NetworkCatalog, Port, PortService, Subnet } from '../../cloud/network.ts';
import { Secret } from '../../lib/secret.ts';
import { type Amphora, type LoadBalancerTree, Terminal, vipsOf } from '../../model/index.ts';
import { tlsFileMd5 } from '../../wire/tls-files.ts';
import type { AmphoraAgents, ObservedAgent } from './agent-client.ts';
import {
  type AmphoraView,
  instanceName,
  memberPortName,
  type Observed,
  type PlanLimits,
  vipDevice,
  vrrpPortName,
  type RenderedConfiguration,
  type WantedConfiguration,
  type WantedDatagram,
} from './observed.ts';
import { renderDatagram } from './render/datagram.ts';
import { renderLvs } from './render/lvs.ts';
import type { SecretOutcomes } from './render/tls-files.ts';
import { placeSecrets, type SecretReadings, type TlsMaterial } from './tls-material.ts';

/** What observing needs. */
export type Sight = {
  readonly compute: Compute;
  readonly ports: PortService;
  readonly catalog: NetworkCatalog;
  readonly agents: AmphoraAgents;
  readonly limits: PlanLimits;
  readonly now: () => number;
  readonly newId: () => string;
  /**
   * What the amphora should run; null when the load balancer has nothing to serve. Throws `Terminal` with the owner of what cannot
   * be served, as a secret that has no file.
   */
  readonly render: (
    tree: LoadBalancerTree,
    amphora: Amphora,
    agent: ObservedAgent,
    secrets: SecretOutcomes,
  ) => RenderedConfiguration | null;
  readonly tls_material: TlsMaterial;
};

/** How long a key manager that does not answer holds up what needs it; then only what cannot do without it fails. */
const secrets_patience_ms = 20_000;

/** Whose look it is, as the provider interface has it. */
type Work = { readonly started_ms: number; readonly revision: number; readonly signal: AbortSignal };

/** Asks compute, network, key manager and agents. Throws `Retry` when the cloud cannot be asked. */
export async function observe(sight: Sight, tree: LoadBalancerTree, work: Work): Promise<Observed> {
  const id = tree.loadbalancer.id;
  const [instances, vip_ports, subnets, secrets] = await Promise.all([
    sight.compute.listInstances({ loadbalancer_id: id }),
    sight.ports.listPorts({ device_id: vipDevice(id) }),
    findSubnets(sight, tree),
    sight.tls_material.read(tree),
  ]);
  const wants = (amphora: Amphora, agent: ObservedAgent) =>
    wantedOf(sight, tree, amphora, agent, secrets, sight.now() < work.started_ms + secrets_patience_ms);
  const networks = await findNetworks(sight, tree, subnets);
  const amphorae = await Promise.all(tree.amphorae.map((amphora) => viewAmphora(sight, tree, amphora, instances, wants, work)));
  const known = new Set(tree.amphorae.map((amphora) => amphora.id));
  return {
    now_ms: sight.now(),
    started_ms: work.started_ms,
    new_ids: [sight.newId(), sight.newId()],
    amphorae,
    vip_ports,
    subnets,
    networks,
    stray_instances: instances.filter((instance) => !known.has(instance.amphora_id)),
    limits: sight.limits,
  };
}

async function viewAmphora(
  sight: Sight,
  tree: LoadBalancerTree,
  amphora: Amphora,
  all: readonly Instance[],
  wants: (amphora: Amphora, agent: ObservedAgent) => WantedConfiguration | null,
  { revision, signal }: Work,
): Promise<AmphoraView> {
  const instances = all.filter((each) => each.name === instanceName(amphora.id)).toSorted((a, b) => a.created_ms - b.created_ms);
  const isUp =
    amphora.lb_network_ip !== null && instances.some((each) => each.status === 'ACTIVE' && each.compute_id === amphora.compute_id);
  // One that is to be removed is not asked: its answer changes nothing, and a dead one costs a time-out.
  const isAsked = isUp && amphora.status !== 'PENDING_DELETE' && tree.loadbalancer.provisioning_status !== 'PENDING_DELETE';
  const [vrrp, members, agent] = await Promise.all([
    sight.ports.listPorts({ name: vrrpPortName(amphora.id) }),
    sight.ports.listPorts({ name: memberPortName(amphora.id) }),
    isAsked ? sight.agents.describe(amphora, revision, signal) : null,
  ]);
  const wanted = agent === null ? null : wants(amphora, agent);
  const wanted_datagram = agent === null ? null : wantedDatagramOf(tree, agent);
  return { amphora, instances, ports: byId([...vrrp, ...members]), agent, wanted, wanted_datagram };
}

/** What the amphora should pass on. Throws `Terminal` with a listener as owner when its agent cannot. */
function wantedDatagramOf(tree: LoadBalancerTree, agent: ObservedAgent): WantedDatagram | null {
  // Upstream's image has IPVS and keepalived for it.
  const isUpstream = agent.capabilities.length === 0;
  const config = renderDatagram(tree, isUpstream);
  const [first] = config.listeners;
  if (first === undefined) return null;
  if (!isUpstream && !agent.capabilities.includes('datagram'))
    throw new Terminal({ type: 'listener', id: first.id }, 'The amphora cannot pass on UDP and SCTP.');
  const text = JSON.stringify(config);
  const lvs = config.listeners.map((listener) => ({ id: listener.id, text: renderLvs(tree.loadbalancer.id, listener) }));
  return { text, md5: createHash('md5').update(text).digest('hex'), lvs: isUpstream ? lvs : null };
}

/** What the amphora should run, with the files for its folder of certificates. */
function wantedOf(
  sight: Sight,
  tree: LoadBalancerTree,
  amphora: Amphora,
  agent: ObservedAgent,
  secrets: SecretReadings,
  isPatient: boolean,
): WantedConfiguration | null {
  const { outcomes, tls_files } = placeSecrets(secrets, agent.tls_files, isPatient);
  const rendered = sight.render(tree, amphora, agent, outcomes);
  if (rendered === null) return null;
  const lists = Object.entries(rendered.crt_lists).map(
    ([name, text]) => [name, { md5: tlsFileMd5(text), content: new Secret(text) }] as const,
  );
  return { ...rendered, tls_files: new Map([...tls_files, ...lists]) };
}

const byId = (ports: readonly Port[]): readonly Port[] => ports.toSorted((a, b) => (a.id < b.id ? -1 : 1));

async function findSubnets(sight: Sight, tree: LoadBalancerTree): Promise<Map<string, Subnet>> {
  const members = tree.pools.flatMap((pool) => pool.members.map((member) => member.subnet_id));
  const ids = new Set([...vipsOf(tree.loadbalancer).map((vip) => vip.subnet_id), tree.loadbalancer.vip_subnet_id, ...members]);
  const found = await Promise.all([...ids].map(async (id) => (id === null ? null : sight.catalog.findSubnet(id, null))));
  return new Map(found.flatMap((subnet) => (subnet === null ? [] : [[subnet.id, subnet]])));
}

async function findNetworks(sight: Sight, tree: LoadBalancerTree, subnets: ReadonlyMap<string, Subnet>): Promise<Map<string, Network>> {
  const ids = new Set([...subnets.values()].map((subnet) => subnet.network_id));
  if (tree.loadbalancer.vip_network_id !== null) ids.add(tree.loadbalancer.vip_network_id);
  const found = await Promise.all([...ids].map((id) => sight.catalog.findNetwork(id, null)));
  return new Map(found.flatMap((network) => (network === null ? [] : [[network.id, network]])));
}
