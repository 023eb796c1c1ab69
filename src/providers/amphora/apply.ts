/** Carries out one step. A row is written before the call that it makes findable, and again with what the call returned. */
import { CloudRefusal, type Instance, type InstanceFile, type InstanceSpec } from '../../cloud/compute.ts';
import type { Port } from '../../cloud/network.ts';
import { insertAmphora as insertAmphoraRow, recordHeard, recordVip, updateAmphora } from '../../db/amphorae.ts';
import type { Tx } from '../../db/database.ts';
import { freeBuildSlot, takeBuildSlot } from '../../db/build-slots.ts';
import { type Amphora, Fault, type LoadBalancer, type LoadBalancerTree, Retry, Terminal, vipsOf } from '../../model/index.ts';
import type { Pass, Wait } from '../provider.ts';
import { ConfigRefused } from './agent-client.ts';
import {
  amphoraPortOwner,
  type AmphoraView,
  instanceName,
  memberPortName,
  type Observed,
  vipDevice,
  vipPortName,
  vipPortOwner,
  vrrpPortName,
} from './observed.ts';
import type { IssuedCertificate } from './pki.ts';
import { networkRequest, ownAddress, vipRequest } from './plug-requests.ts';
import type { Sight } from './observe.ts';
import { ownerOfRefusal } from './render/haproxy.ts';
import type { AmphoraStep } from './steps.ts';

/** What applying needs beside what observing needs. */
export type Tools = Sight & {
  readonly issueCertificate: (amphora_id: string) => Promise<IssuedCertificate>;
  /** The files that an instance boots with: agent configuration, certificate, CA. */
  readonly bootFiles: (tree: LoadBalancer, amphora: Amphora, certificate: IssuedCertificate) => readonly InstanceFile[];
  /** What the agent is told in its own file. Contains the heartbeat key. */
  readonly agentConfiguration: (tree: LoadBalancer, amphora: Amphora) => string;
  /** What instances are made of when no flavor and no availability zone says so; absent: what the cloud takes by itself. */
  readonly compute_defaults?: Partial<Pick<InstanceSpec, 'compute_flavor' | 'image_tag' | 'availability_zone' | 'volume_zone'>>;
  /** Networks that amphorae boot on: the management network. */
  readonly boot_network_ids: readonly string[];
  /** Most amphorae that may be building at once; -1: no limit. */
  readonly build_rate_limit: number;
};

/** One step with all it may need. */
type Doing = { readonly tools: Tools; readonly observed: Observed; readonly pass: Pass<Tx> };

/** Runs a step. Throws `Retry`, `Terminal`, or `LeaseLost`; answers `Wait` when the step's turn has not come. */
export async function apply(tools: Tools, observed: Observed, step: AmphoraStep, pass: Pass<Tx>): Promise<Wait | void> {
  const doing: Doing = { tools, observed, pass };
  switch (step.step) {
    case 'create_vip_port':
      return createVipPort(doing);
    case 'update_port':
      return updatePort(doing, step.port_id);
    case 'release_vip_port':
      return releaseVipPort(doing, step.port_id, step.owned);
    case 'insert_amphora':
      return insertAmphora(doing, step.amphora_id, step.role);
    case 'create_instance':
      return createInstance(doing, viewOf(doing, step.amphora_id));
    case 'record_instance':
      return recordInstance(doing, step.amphora_id, step.compute_id);
    case 'create_vrrp_port':
      return createVrrpPort(doing, step.amphora_id);
    case 'record_vrrp_port':
      return recordVrrpPort(doing, step.amphora_id, portOf(doing, step.amphora_id, step.port_id));
    case 'create_member_port':
      return createMemberPort(doing, step);
    case 'attach_port':
      return tools.compute.attachPort(step.compute_id, step.port_id);
    case 'condemn':
      return condemn(doing, step.amphora_id, step.reason);
    case 'delete_instance':
      return deleteInstance(doing, step.compute_id, step.amphora_id);
    case 'delete_port':
      if (step.compute_id !== null) await tools.compute.detachPort(step.compute_id, step.port_id);
      return tools.ports.deletePort(step.port_id);
    case 'forget_amphora':
      return pass.write((tx) => setAmphora(tx, doing, step.amphora_id, { status: 'DELETED', compute_id: null }));
    case 'allocate':
      return allocate(doing, step.amphora_id);
    default:
      return applyToAgent(doing, step);
  }
}

/** The steps that an agent carries out. */
type AgentStep = Extract<
  AmphoraStep,
  {
    step:
      | 'plug_vip'
      | 'plug_network'
      | 'put_configuration'
      | 'delete_tls_files'
      | 'delete_configuration'
      | 'put_datagram'
      | 'configure_agent'
      | 'renew_certificate';
  }
>;

async function applyToAgent(doing: Doing, step: AgentStep): Promise<void> {
  const { tools, observed, pass } = doing;
  const view = viewOf(doing, step.amphora_id);
  const { amphora } = view;
  const lb = pass.tree.loadbalancer;
  switch (step.step) {
    case 'plug_vip':
      return tools.agents.plugVip(amphora, vipRequest(lb, portOf(doing, amphora.id, step.port_id), observed), pass.revision, pass.signal);
    case 'plug_network':
      return tools.agents.plugNetwork(
        amphora,
        networkRequest(portOf(doing, amphora.id, step.port_id), observed),
        pass.revision,
        pass.signal,
      );
    case 'put_configuration':
      return putConfiguration(doing, view, step.missing_files);
    case 'delete_tls_files':
      for (const name of step.names) await tools.agents.deleteTlsFile(amphora, lb.id, name, pass.revision, pass.signal);
      return undefined;
    case 'delete_configuration':
      return tools.agents.deleteHaproxy(amphora, lb.id, pass.revision, pass.signal);
    case 'put_datagram':
      return tools.agents.putDatagram(amphora, lb.id, view.wanted_datagram, pass.revision, pass.signal);
    case 'configure_agent':
      return configureAgent(doing, amphora);
    case 'renew_certificate':
      return renewCertificate(doing, amphora);
  }
}

async function putConfiguration({ tools, pass }: Doing, view: AmphoraView, missing_files: readonly string[]): Promise<void> {
  if (view.wanted === null) return;
  for (const name of missing_files) {
    const content = view.wanted.tls_files.get(name)?.content ?? null;
    if (content === null) throw new Error(`the plan names file ${name}, which was not observed`);
    await tools.agents.putTlsFile(view.amphora, pass.tree.loadbalancer.id, { name, content }, pass.revision, pass.signal);
  }
  const held = view.agent?.lists ?? [];
  for (const list of view.wanted.lists)
    if (!held.includes(list.name)) await tools.agents.putList(view.amphora, pass.tree.loadbalancer.id, list, pass.revision, pass.signal);
  try {
    await tools.agents.putHaproxy(view.amphora, pass.tree.loadbalancer.id, view.wanted.text, pass.revision, pass.signal);
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    const owner = ownerOfRefusal(error.output, view.wanted);
    const reason = `HAProxy refuses the configuration: ${error.output.trim().slice(0, 500)}`;
    throw new Terminal(owner ?? { type: 'loadbalancer', id: pass.tree.loadbalancer.id }, reason, { cause: error });
  }
}

async function configureAgent(doing: Doing, amphora: Amphora): Promise<void> {
  const { tools, pass } = doing;
  const text = tools.agentConfiguration(pass.tree.loadbalancer, amphora);
  await tools.agents.putAgentConfiguration(amphora, text, pass.revision, pass.signal);
  await pass.write((tx) => setAmphora(tx, doing, amphora.id, { config_due: false }));
}

async function renewCertificate(doing: Doing, amphora: Amphora): Promise<void> {
  const { tools, pass } = doing;
  const certificate = await tools.issueCertificate(amphora.id);
  await tools.agents.putCertificate(amphora, certificate.pem.reveal(), pass.revision, pass.signal);
  await pass.write((tx) => setAmphora(tx, doing, amphora.id, { cert_busy: false, ...certificateFields(certificate) }));
}

async function createVipPort(doing: Doing): Promise<void> {
  const { tools, pass } = doing;
  const lb = pass.tree.loadbalancer;
  if (!lb.vip_port_owned && lb.vip_port_id !== null) return adoptVipPort(doing, lb.vip_port_id);
  if (lb.vip_network_id === null) throw new Terminal({ type: 'loadbalancer', id: lb.id }, 'The load balancer has no VIP network.');
  const fixed_ips =
    lb.vip_subnet_id === null ? [] : [{ subnet_id: lb.vip_subnet_id, ...(lb.vip_address === null ? {} : { ip_address: lb.vip_address }) }];
  const additional = lb.additional_vips.map((vip) => ({
    subnet_id: vip.subnet_id,
    ...(vip.ip_address === null ? {} : { ip_address: vip.ip_address }),
  }));
  const port = await refusedIsTerminal(lb.id, () =>
    tools.ports.createPort({
      name: vipPortName(lb.id),
      network_id: lb.vip_network_id as string,
      project_id: lb.project_id,
      fixed_ips: [...fixed_ips, ...additional],
      device_id: vipDevice(lb.id),
      device_owner: vipPortOwner,
      security_groups: lb.vip_sg_ids,
      qos_policy_id: lb.vip_qos_policy_id,
    }),
  );
  const primary = port.fixed_ips.find((ip) => ip.subnet_id === lb.vip_subnet_id) ?? port.fixed_ips[0];
  const additional_vips = lb.additional_vips.map((vip) => ({
    ...vip,
    port_id: port.id,
    ip_address: port.fixed_ips.find((ip) => ip.subnet_id === vip.subnet_id && ip !== primary)?.ip_address ?? vip.ip_address,
  }));
  await pass.write((tx) =>
    recordVip(tx, lb.id, {
      vip_port_id: port.id,
      vip_address: primary?.ip_address ?? null,
      vip_subnet_id: primary?.subnet_id ?? null,
      vip_port_owned: true,
      additional_vips,
    }),
  );
}

/** The port that the user brought; released, it is his again. */
async function adoptVipPort({ tools, pass }: Doing, port_id: string): Promise<void> {
  const { id } = pass.tree.loadbalancer;
  const port = await tools.catalog.findPort(port_id, null);
  const isFree = port !== null && (port.device_id === '' || port.device_id === vipDevice(id));
  if (!isFree) {
    const reason = port === null ? 'is gone' : 'belongs to another device';
    throw new Terminal({ type: 'loadbalancer', id }, `The VIP port ${port_id} ${reason}.`);
  }
  await refusedIsTerminal(id, () => tools.ports.updatePort(port_id, { device_id: vipDevice(id), device_owner: vipPortOwner }));
}

async function updatePort({ tools, pass }: Doing, port_id: string): Promise<void> {
  const { id, vip_sg_ids, vip_qos_policy_id } = pass.tree.loadbalancer;
  await refusedIsTerminal(id, () => tools.ports.updatePort(port_id, { security_groups: vip_sg_ids, qos_policy_id: vip_qos_policy_id }));
}

/** A user's port is given back as it was; ours is deleted. */
async function releaseVipPort({ tools }: Doing, port_id: string, owned: boolean): Promise<void> {
  if (owned) return tools.ports.deletePort(port_id);
  await tools.ports.updatePort(port_id, { device_id: '', device_owner: '' });
}

async function insertAmphora({ tools, pass }: Doing, id: string, role: NonNullable<Amphora['role']>): Promise<void> {
  const vrrp_priority = { STANDALONE: null, MASTER: 100, BACKUP: 90 }[role];
  const loadbalancer_id = pass.tree.loadbalancer.id;
  await pass.write((tx) => insertAmphoraRow(tx, { id, loadbalancer_id, role, vrrp_priority, created_at: octaviaTime(tools.now()) }));
}

/** What the load balancer's flavor and availability zone say of its instances, else the deployment. */
function chosen({ compute_defaults = {}, boot_network_ids }: Tools, { flavor = {}, zone = {} }: LoadBalancerTree) {
  return {
    compute_flavor: flavor.compute_flavor || (compute_defaults.compute_flavor ?? null),
    image_tag: flavor.amp_image_tag || (compute_defaults.image_tag ?? null),
    availability_zone: zone.compute_zone || (compute_defaults.availability_zone ?? null),
    volume_zone: zone.volume_zone || (compute_defaults.volume_zone ?? null),
    network_ids: zone.management_network ? [zone.management_network] : boot_network_ids,
  };
}

async function createInstance(doing: Doing, view: AmphoraView): Promise<Wait | void> {
  const { tools, pass } = doing;
  const { amphora } = view;
  const lb = pass.tree.loadbalancer;
  const certificate = await tools.issueCertificate(amphora.id);
  // The intent is written first: whoever comes next waits for the instance to be listed instead of asking for a second.
  const turn = await pass.write(async (tx) => {
    const taken = await takeBuildSlot(tx, {
      amphora_id: amphora.id,
      loadbalancer_id: lb.id,
      priority: lb.provisioning_status === 'PENDING_CREATE' ? 40 : 20,
      now_ms: tools.now(),
      limit: tools.build_rate_limit,
    });
    if (!taken) return false;
    await setAmphora(tx, doing, amphora.id, {
      boot_started_ms: tools.now(),
      ...certificateFields(certificate),
    });
    return true;
  });
  if (!turn) return { until_ms: tools.now() + 1000, reason: 'Other amphorae are being built; it waits for its turn.' };
  try {
    const instance = await tools.compute.createInstance({
      name: instanceName(amphora.id),
      amphora_id: amphora.id,
      loadbalancer_id: lb.id,
      ...chosen(tools, pass.tree),
      server_group_id: lb.server_group_id,
      files: tools.bootFiles(lb, amphora, certificate),
    });
    await pass.write((tx) =>
      setAmphora(tx, doing, amphora.id, { compute_id: instance.compute_id, status: 'BOOTING', ...seenOf(instance) }),
    );
  } catch (error) {
    if (!(error instanceof CloudRefusal)) throw error;
    await pass.write((tx) => setAmphora(tx, doing, amphora.id, { boot_started_ms: null }));
    throw new Retry(`The cloud refuses an instance: ${error.message}`, { cause: error });
  }
}

/** What the cloud says of an instance that its amphora shows. */
const seenOf = ({ lb_network_ip, cached_zone, image_id, compute_flavor }: Instance): Partial<Amphora> => ({
  lb_network_ip,
  cached_zone,
  image_id,
  compute_flavor,
});

async function recordInstance(doing: Doing, amphora_id: string, compute_id: string): Promise<void> {
  const instance = viewOf(doing, amphora_id).instances.find((each) => each.compute_id === compute_id);
  if (!instance) return;
  const { amphora } = viewOf(doing, amphora_id);
  await doing.pass.write((tx) =>
    setAmphora(tx, doing, amphora_id, {
      compute_id,
      ...seenOf(instance),
      boot_started_ms: amphora.boot_started_ms ?? instance.created_ms,
      ...(amphora.status === 'PENDING_CREATE' ? { status: 'BOOTING' as const } : {}),
    }),
  );
}

async function createVrrpPort(doing: Doing, amphora_id: string): Promise<void> {
  const { tools, pass } = doing;
  const lb = pass.tree.loadbalancer;
  const subnet_ids = [...new Set(vipsOf(lb).flatMap((vip) => (vip.subnet_id === null ? [] : [vip.subnet_id])))];
  const port = await tools.ports.createPort({
    name: vrrpPortName(amphora_id),
    network_id: lb.vip_network_id as string,
    project_id: lb.project_id,
    fixed_ips: subnet_ids.map((subnet_id) => ({ subnet_id })),
    device_id: instanceName(amphora_id),
    device_owner: amphoraPortOwner,
    allowed_address_pairs: vipsOf(lb).map((vip) => ({ ip_address: vip.ip_address })),
    security_groups: lb.vip_sg_ids,
    qos_policy_id: lb.vip_qos_policy_id,
    vnic_type: lb.vip_vnic_type,
  });
  await recordVrrpPort(doing, amphora_id, port);
}

async function recordVrrpPort(doing: Doing, amphora_id: string, port: Port): Promise<void> {
  const lb = doing.pass.tree.loadbalancer;
  await doing.pass.write((tx) =>
    setAmphora(tx, doing, amphora_id, {
      vrrp_port_id: port.id,
      vrrp_ip: ownAddress(lb, port) ?? null,
      ha_ip: lb.vip_address,
      ha_port_id: lb.vip_port_id,
      vrrp_id: 1,
    }),
  );
}

async function createMemberPort(
  { tools, pass }: Doing,
  { amphora_id, network_id, subnet_ids, vnic_type }: Extract<AmphoraStep, { step: 'create_member_port' }>,
): Promise<void> {
  await tools.ports.createPort({
    name: memberPortName(amphora_id),
    network_id,
    project_id: pass.tree.loadbalancer.project_id,
    fixed_ips: subnet_ids.map((subnet_id) => ({ subnet_id })),
    device_id: instanceName(amphora_id),
    device_owner: amphoraPortOwner,
    vnic_type,
  });
}

/** Marked for replacement; thrown as a failure so that the worker counts it and backs off. */
async function condemn(doing: Doing, amphora_id: string, reason: string): Promise<never> {
  await doing.pass.write(async (tx) => {
    await setAmphora(tx, doing, amphora_id, { status: 'PENDING_DELETE' });
    await freeBuildSlot(tx, amphora_id);
  });
  throw new Retry(`Amphora ${amphora_id}: ${reason}`);
}

async function deleteInstance(doing: Doing, compute_id: string, amphora_id: string | null): Promise<void> {
  await doing.tools.compute.deleteInstance(compute_id);
  if (amphora_id === null) return;
  await doing.pass.write(async (tx) => {
    await setAmphora(tx, doing, amphora_id, { compute_id: null, lb_network_ip: null });
    await freeBuildSlot(tx, amphora_id);
  });
}

async function allocate(doing: Doing, amphora_id: string): Promise<void> {
  await doing.pass.write(async (tx) => {
    // Only of a pair is it of interest where VRRP speaks.
    const vrrp_interface = doing.pass.tree.loadbalancer.topology === 'ACTIVE_STANDBY' ? 'eth1' : null;
    await setAmphora(tx, doing, amphora_id, { status: 'ALLOCATED', vrrp_interface });
    await freeBuildSlot(tx, amphora_id);
    await recordHeard(tx, amphora_id, doing.tools.now());
  });
}

const setAmphora = (tx: Tx, { tools }: Doing, id: string, change: Partial<Amphora>): Promise<void> =>
  updateAmphora(tx, id, { ...change, updated_at: octaviaTime(tools.now()) });

const certificateFields = (certificate: IssuedCertificate) => ({
  cert_expiration: octaviaTime(certificate.not_after.getTime()),
  cert_serial: certificate.serial,
});

/** UTC as the API writes it. */
const octaviaTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19);

const viewOf = ({ observed }: Doing, amphora_id: string): AmphoraView => {
  const view = observed.amphorae.find((each) => each.amphora.id === amphora_id);
  if (!view) throw new Error(`the plan names amphora ${amphora_id}, which was not observed`);
  return view;
};

const portOf = (doing: Doing, amphora_id: string, port_id: string): Port => {
  const port = viewOf(doing, amphora_id).ports.find((each) => each.id === port_id);
  if (!port) throw new Error(`the plan names port ${port_id}, which was not observed`);
  return port;
};

/** The network's "no" to what the user asked for is final. */
async function refusedIsTerminal<T>(loadbalancer_id: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Fault && error.status < 500)
      throw new Terminal({ type: 'loadbalancer', id: loadbalancer_id }, error.message, { cause: error });
    throw error;
  }
}
