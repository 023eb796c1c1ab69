/**
 * `POST /loadbalancers`. The answer must carry the VIP's address and port, so the port is made here: first the rows and a
 * lease, then the port, then its addresses in the row. What a crash leaves in between, a worker finishes.
 */
import type { Port, PortSpec } from '../cloud/network.ts';
import { recordVip } from '../db/amphorae.ts';
import { eraseLoadBalancer, isPortTaken } from '../db/loadbalancers.ts';
import { insertReconciliation, releaseApiLease } from '../db/reconciliations.ts';
import { deleteRecords, insertRecords } from '../db/records.ts';
import { insertRows, insertTags } from '../db/rows.ts';
import { newId } from '../lib/ids.ts';
import { Fault, type LoadBalancer, loadbalancerFields, type LoadBalancerTree } from '../model/index.ts';
import { canonicalAddress } from '../model/rules/addresses.ts';
import { refusal } from '../model/rules/listener.ts';
import type { Answer, Call } from './call.ts';
import { checkCertificates } from './request/certificates.ts';
import { checkQuota, newIdentity, providerOf } from './change.ts';
import { timestamp } from './deps.ts';
import { hasTagTwice, newColumns, orderedTags } from './request/fill.ts';
import { type Choice, chooseProvider, findChoice, flavorOf, holdChoice, vnicTypeOf, zoneOf } from './flavors/choose.ts';
import { buildGraph, type Graph, listenerTrees } from './tree/graph.ts';
import { presentGraph } from './tree/graph-answer.ts';
import { newOrderedId } from './tree/ids.ts';
import { enforce } from './policy/enforce.ts';
import { readObject } from './request/read-object.ts';
import { loadbalancers } from './resources.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';
import { checkNetworkAllowed, planVip } from './tree/vip.ts';

/** `POST /loadbalancers` */
export async function createLoadBalancer(call: Call): Promise<Answer> {
  const body = readObject(call, loadbalancers, bodies.loadbalancer.post);
  const project_id = projectOf(call, body);
  enforce(call, 'loadbalancer', 'post', project_id);
  if (Object.hasOwn(body, 'vip_sg_ids')) enforce(call, 'loadbalancer', 'post:vip_sg_ids', project_id);
  const choice = await findChoice(call, body);
  const loadbalancer = await newLoadBalancer(call, body, project_id, choice);
  const birth = {
    project_id,
    now: loadbalancer.created_at,
    now_ms: call.deps.clock.now(),
    options: call.deps.options,
    allow_member_sriov: flavorOf(choice).allow_member_sriov === true,
  };
  const graph = buildGraph(body, loadbalancer, birth);
  const tags = orderedTags(body);
  providerOf(call.deps, loadbalancer.provider).validate(treeOf(loadbalancer, graph), {
    action: 'create',
    owner: { type: 'loadbalancer', id: loadbalancer.id },
  });
  for (const part of partsWithCertificates(body)) await checkCertificates(call, part, { project_id });
  const fence = await store(call, loadbalancer, graph, tags, choice);
  const placed = await place(call, loadbalancer, fence);
  return { status: 201, body: presentGraph(placed, tags, graph) };
}

/** The listeners and pools of a request, which may name certificates. */
function partsWithCertificates(body: JsonObject): JsonObject[] {
  const list = (name: string): JsonObject[] => (body[name] as JsonObject[] | null | undefined) ?? [];
  const embedded = list('listeners').flatMap((listener) => (listener['default_pool'] ? [listener['default_pool'] as JsonObject] : []));
  return [...list('listeners'), ...list('pools'), ...embedded];
}

/** Whose the load balancer will be: the request says, or the token. Throws `Fault` 400. */
function projectOf(call: Call, body: JsonObject): string {
  // The older spelling is read last, so it wins.
  const named = Object.hasOwn(body, 'tenant_id') ? body['tenant_id'] : body['project_id'];
  const project_id = (named ?? call.caller.project_id ?? '') as string;
  if (project_id !== '') return project_id;
  throw refusal(
    'Missing project ID in request where one is required. An administrator should check the keystone settings in the Octavia configuration.',
  );
}

async function newLoadBalancer(call: Call, body: JsonObject, project_id: string, choice: Choice): Promise<LoadBalancer> {
  const { options, clock } = call.deps;
  const flavor = flavorOf(choice);
  const topology = flavor.loadbalancer_topology ?? options.loadbalancer_topology;
  const vip = await planVip(call, body, topology);
  const provider = await chooseProvider(call, body, choice);
  checkNetworkAllowed(vip.vip_network_id, options, zoneOf(choice).valid_vip_networks);
  const vip_vnic_type = vnicTypeOf(flavor, vip.vip_sg_ids);
  if (hasTagTwice(body) || new Set(vip.vip_sg_ids).size < vip.vip_sg_ids.length)
    throw new Fault(409, 'Already an entity with that specified id.');
  const columns = newColumns(loadbalancerFields, body, options) as unknown as LoadBalancer;
  return {
    ...columns,
    ...newIdentity(newOrderedId(clock.now()), project_id, timestamp(clock)),
    ...pickVip(vip),
    // A made-up VIP is on no network.
    ...(providerOf(call.deps, provider).made_up_vip !== undefined && { vip_network_id: null }),
    provider,
    vip_vnic_type,
    topology,
    server_group_id: null,
  };
}

const pickVip = (vip: Awaited<ReturnType<typeof planVip>>): Awaited<ReturnType<typeof planVip>> => ({
  vip_address: vip.vip_address,
  vip_port_id: vip.vip_port_id,
  vip_subnet_id: vip.vip_subnet_id,
  vip_network_id: vip.vip_network_id,
  vip_qos_policy_id: vip.vip_qos_policy_id,
  vip_sg_ids: vip.vip_sg_ids,
  additional_vips: vip.additional_vips,
  vip_port_owned: vip.vip_port_owned,
});

const treeOf = (loadbalancer: LoadBalancer, graph: Graph): LoadBalancerTree => ({
  loadbalancer,
  listeners: listenerTrees(graph),
  pools: graph.pools.map((pool) => ({
    ...pool,
    members: graph.members.filter((each) => each.pool_id === pool.id),
    healthmonitor: graph.healthmonitors.find((each) => each.pool_id === pool.id) ?? null,
  })),
  amphorae: [],
  generation: 1,
});

/** Writes all rows and takes the lease. Throws `Fault` 403 over quota. */
async function store(call: Call, loadbalancer: LoadBalancer, graph: Graph, tags: readonly string[], choice: Choice): Promise<number> {
  const { db, options } = call.deps;
  return db.tx(async (tx) => {
    await holdChoice(tx, choice);
    await checkQuota(call, tx, loadbalancer.project_id, {
      loadbalancer: 1,
      listener: graph.listeners.length,
      pool: graph.pools.length,
      member: graph.members.length,
      healthmonitor: graph.healthmonitors.length,
      l7policy: graph.l7policies.length,
      l7rule: graph.l7rules.length,
    });
    if (!loadbalancer.vip_port_owned && (await isPortTaken(tx, loadbalancer.vip_port_id)))
      throw new Fault(409, `Port ${loadbalancer.vip_port_id} is already used by another load balancer.`);
    await insertRows(tx, 'loadbalancer', [loadbalancer]);
    await insertRows(tx, 'pool', graph.pools);
    await insertRows(tx, 'listener', graph.listeners);
    await insertRows(tx, 'member', graph.members);
    await insertRows(tx, 'healthmonitor', graph.healthmonitors);
    await insertRows(tx, 'l7policy', graph.l7policies);
    await insertRows(tx, 'l7rule', graph.l7rules);
    await insertTags(tx, [{ id: loadbalancer.id, tags }, ...graph.tags]);
    await insertRecords(tx, call.pending, call.deps.clock.now());
    const { fence } = await insertReconciliation(tx, loadbalancer.id, {
      owner: `${options.host}/api`,
      lease_ms: options.port_lease_ms,
      now: db.nowMs(),
    });
    return fence;
  });
}

/** Makes (or takes) the port and records it; when the network refuses, the load balancer never was. */
async function place(call: Call, loadbalancer: LoadBalancer, fence: number): Promise<LoadBalancer> {
  const { db } = call.deps;
  try {
    const { made_up_vip } = providerOf(call.deps, loadbalancer.provider);
    const port = made_up_vip === undefined ? await makePort(call, loadbalancer) : madeUpPort(loadbalancer, made_up_vip);
    const placed = withPort(loadbalancer, port);
    await db.tx(async (tx) => {
      // A network slower than the lease: a worker has found the port by its name, records it and goes on.
      if (!(await releaseApiLease(tx, placed.id, fence))) return;
      const { vip_port_id, vip_address, vip_subnet_id, vip_port_owned, additional_vips } = placed;
      await recordVip(tx, placed.id, { vip_port_id: vip_port_id ?? port.id, vip_address, vip_subnet_id, vip_port_owned, additional_vips });
      await db.notify('reconcile', placed.id, tx);
    });
    return placed;
  } catch (error) {
    // Anything but a clear no may have made the port: the rows stay, and a worker finds it or makes it.
    if (!(error instanceof Fault)) throw error;
    await db.tx(async (tx) => {
      if (!(await releaseApiLease(tx, loadbalancer.id, fence))) return;
      await eraseLoadBalancer(tx, loadbalancer.id);
      await deleteRecords(
        tx,
        call.pending.map(({ id }) => id),
      );
    });
    throw error;
  }
}

/** The port of a provider that makes none; it stands nowhere but in the load balancer. */
const madeUpPort = (loadbalancer: LoadBalancer, ip_address: string): Port => ({
  id: loadbalancer.vip_port_id ?? newId(),
  name: '',
  network_id: loadbalancer.vip_network_id ?? '',
  project_id: loadbalancer.project_id,
  mac_address: '',
  fixed_ips: [{ subnet_id: loadbalancer.vip_subnet_id ?? newId(), ip_address: loadbalancer.vip_address ?? ip_address }],
  device_id: '',
  device_owner: '',
  security_groups: [],
  allowed_address_pairs: [],
  qos_policy_id: null,
  tags: [],
});

async function makePort(call: Call, loadbalancer: LoadBalancer): Promise<Port> {
  const { ports, catalog } = call.deps;
  if (!loadbalancer.vip_port_owned && loadbalancer.vip_port_id !== null) {
    const port = await catalog.findPort(loadbalancer.vip_port_id, null);
    if (port === null) throw new Fault(400, `Port ${loadbalancer.vip_port_id} not found.`);
    // From now on it is found by its device, as ours are; a worker does the same when this is interrupted.
    const { device_id, device_owner } = vipPortSpec(loadbalancer);
    return ports.updatePort(port.id, { device_id, device_owner });
  }
  return ports.createPort(vipPortSpec(loadbalancer));
}

/** The port that a load balancer's VIPs live on. */
export function vipPortSpec(loadbalancer: LoadBalancer): PortSpec {
  const fixed = (subnet_id: string | null, ip_address: string | null): PortSpec['fixed_ips'] =>
    subnet_id === null ? [] : [ip_address === null ? { subnet_id } : { subnet_id, ip_address }];
  return {
    name: `octavia-lb-${loadbalancer.id}`,
    network_id: loadbalancer.vip_network_id ?? '',
    project_id: loadbalancer.project_id,
    fixed_ips: [
      ...fixed(loadbalancer.vip_subnet_id, loadbalancer.vip_address),
      ...loadbalancer.additional_vips.flatMap((vip) => fixed(vip.subnet_id, vip.ip_address)),
    ],
    device_id: `lb-${loadbalancer.id}`,
    device_owner: 'Octavia',
    ...(loadbalancer.vip_sg_ids.length > 0 && { security_groups: loadbalancer.vip_sg_ids }),
    qos_policy_id: loadbalancer.vip_qos_policy_id,
  };
}

/** The load balancer with the port and the addresses that the network gave. An address that was asked for keeps its spelling. */
export function withPort(loadbalancer: LoadBalancer, port: Port): LoadBalancer {
  const given = (subnet_id: string | null, asked: string | null): string | null => {
    const found = port.fixed_ips.find(
      (ip) =>
        (subnet_id === null || ip.subnet_id === subnet_id) &&
        (asked === null || canonicalAddress(ip.ip_address) === canonicalAddress(asked)),
    );
    return asked ?? found?.ip_address ?? null;
  };
  const vip_address = given(loadbalancer.vip_subnet_id, loadbalancer.vip_address);
  const home = port.fixed_ips.find((ip) => vip_address !== null && canonicalAddress(ip.ip_address) === canonicalAddress(vip_address));
  return {
    ...loadbalancer,
    vip_port_id: port.id,
    vip_address,
    vip_subnet_id: loadbalancer.vip_subnet_id ?? home?.subnet_id ?? null,
    additional_vips: loadbalancer.additional_vips.map((vip) => ({
      ...vip,
      ip_address: given(vip.subnet_id, vip.ip_address),
      port_id: port.id,
    })),
  };
}
