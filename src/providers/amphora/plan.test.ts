import assert from 'node:assert/strict';
import test from 'node:test';
import type { Instance } from '../../cloud/compute.ts';
import type { Port } from '../../cloud/network.ts';
import type { Amphora, LoadBalancer, LoadBalancerTree } from '../../model/index.ts';
import type { ObservedAgent } from './agent-client.ts';
import { type AmphoraView, instanceName, memberPortName, type Observed, vipDevice, vipPortName, vrrpPortName } from './observed.ts';
import { plan } from './plan.ts';
import { sampleAmphora, sampleId, sampleMember, samplePool, sampleTree } from './render/sample-trees.ts';

const now_ms = 1_000_000;
const lb_id = sampleId('loadbalancer');
const wanted = { text: 'new', md5: 'new', owners: [], frontends: 1 };

const port = (id: string, name: string, device_id: string, change: Partial<Port> = {}): Port => ({
  id,
  name,
  network_id: 'network',
  project_id: null,
  mac_address: `fa:16:3e:00:00:0${id.length % 10}`,
  fixed_ips: [{ subnet_id: 'subnet', ip_address: '198.51.100.20' }],
  device_id,
  device_owner: 'Octavia',
  security_groups: [],
  allowed_address_pairs: [],
  qos_policy_id: null,
  tags: [],
  ...change,
});

const amphora = (change: Partial<Amphora> = {}): Amphora =>
  sampleAmphora(1, {
    compute_id: 'vm-1',
    lb_network_ip: '192.0.2.1',
    vrrp_port_id: 'vrrp',
    status: 'BOOTING',
    boot_started_ms: now_ms - 1000,
    ...change,
  });

const instance = (it: Amphora, change: Partial<Instance> = {}): Instance => ({
  compute_id: 'vm-1',
  name: instanceName(it.id),
  amphora_id: it.id,
  loadbalancer_id: lb_id,
  status: 'ACTIVE',
  fault: null,
  lb_network_ip: '192.0.2.1',
  port_ids: ['vrrp'],
  cached_zone: null,
  image_id: null,
  compute_flavor: null,
  created_ms: now_ms - 1000,
  ...change,
});

const vrrp = (it: Amphora): Port => port('vrrp', vrrpPortName(it.id), instanceName(it.id));

const agent = (change: Partial<ObservedAgent> = {}): ObservedAgent => ({
  api_version: '1.0',
  haproxy_version: '2.6',
  capabilities: [],
  revision: 1,
  configuration_md5: 'new',
  running: true,
  plugged: [{ mac_address: vrrp(amphora()).mac_address.toUpperCase(), addresses: ['198.51.100.20', '198.51.100.10'] }],
  maxconn_limit: null,
  boot_id: null,
  base_path: '/b',
  run_path: '/r',
  ...change,
});

/** All that an amphora needs is there, unless a test changes it. */
const view = (change: Partial<AmphoraView> = {}, row: Partial<Amphora> = {}): AmphoraView => {
  const it = amphora(row);
  return { amphora: it, instances: [instance(it)], ports: [vrrp(it)], agent: agent(), wanted, ...change };
};

const tree = (lb: Partial<LoadBalancer> = {}, pools: LoadBalancerTree['pools'] = []): LoadBalancerTree => {
  const sample = sampleTree({ pools });
  return {
    ...sample,
    loadbalancer: {
      ...sample.loadbalancer,
      vip_port_id: 'vip',
      vip_subnet_id: 'subnet',
      vip_network_id: 'network',
      provisioning_status: 'PENDING_UPDATE',
      ...lb,
    },
  };
};

const observed = (amphorae: readonly AmphoraView[], change: Partial<Observed> = {}): Observed => ({
  now_ms,
  started_ms: now_ms - 1000,
  new_ids: ['new-1', 'new-2'],
  amphorae,
  vip_ports: [port('vip', vipPortName(lb_id), vipDevice(lb_id))],
  subnets: new Map(),
  networks: new Map(),
  stray_instances: [],
  limits: { boot_timeout_ms: 300_000, late_listing_ms: 20_000, silence_timeout_ms: 30_000 },
  ...change,
});

/** The steps by name, or what is waited for. */
const next = (its: LoadBalancerTree, sight: Observed): string[] => {
  const { steps, wait } = plan(its, sight);
  return steps.length > 0 ? steps.map((step) => step.step) : wait ? [`wait: ${wait.reason}`] : [];
};

const cases: readonly {
  readonly name: string;
  readonly lb?: Partial<LoadBalancer>;
  readonly sight: Observed;
  readonly expected: readonly string[];
}[] = [
  { name: 'nothing is missing', sight: observed([view({}, { status: 'ALLOCATED' })]), expected: [] },
  { name: 'there is no VIP yet', lb: { vip_address: null, vip_port_id: null }, sight: observed([]), expected: ['create_vip_port'] },
  { name: "somebody deleted the VIP's port", sight: observed([view()], { vip_ports: [] }), expected: ['create_vip_port'] },
  { name: 'there is no amphora', sight: observed([]), expected: ['insert_amphora'] },
  { name: 'a pair lacks both', lb: { topology: 'ACTIVE_STANDBY' }, sight: observed([]), expected: ['insert_amphora', 'insert_amphora'] },
  {
    name: 'an amphora is only a row',
    sight: observed([view({ instances: [], ports: [], agent: null, wanted: null }, { compute_id: null, boot_started_ms: null })]),
    expected: ['create_vrrp_port', 'create_instance'],
  },
  {
    name: 'its instance was asked for by somebody who died',
    sight: observed([view({ instances: [], agent: null }, { compute_id: null })]),
    expected: ['wait: Its instance is not listed yet.'],
  },
  { name: 'that instance is listed now', sight: observed([view({}, { compute_id: null })]), expected: ['record_instance'] },
  {
    name: 'the cloud made two',
    sight: observed([view({ instances: [instance(amphora()), instance(amphora(), { compute_id: 'vm-2' })] })]),
    expected: ['delete_instance'],
  },
  {
    name: 'it is being built',
    sight: observed([view({ instances: [instance(amphora(), { status: 'BUILD' })], agent: null })]),
    expected: ['wait: Its instance is being built.'],
  },
  {
    name: 'its build failed',
    sight: observed([view({ instances: [instance(amphora(), { status: 'ERROR' })], agent: null })]),
    expected: ['condemn'],
  },
  { name: 'it vanished', sight: observed([view({ instances: [], agent: null }, { boot_started_ms: 0 })]), expected: ['condemn'] },
  {
    name: 'its port is not plugged',
    sight: observed([view({ instances: [instance(amphora(), { port_ids: [] })] })]),
    expected: ['attach_port'],
  },
  { name: 'its agent boots', sight: observed([view({ agent: null, wanted: null })]), expected: ['wait: Its agent does not answer yet.'] },
  {
    name: 'its agent never booted',
    sight: observed([view({ agent: null }, { boot_started_ms: now_ms - 300_000 })]),
    expected: ['condemn'],
  },
  {
    name: 'its agent is silent for a moment',
    sight: observed([view({ agent: null }, { status: 'ALLOCATED' })]),
    expected: ['wait: Its agent does not answer.'],
  },
  {
    name: 'its agent is silent for long',
    sight: observed([view({ agent: null }, { status: 'ALLOCATED' })], { started_ms: now_ms - 30_000 }),
    expected: ['condemn'],
  },
  { name: 'its interface has no addresses', sight: observed([view({ agent: agent({ plugged: [] }) })]), expected: ['plug_vip'] },
  {
    name: 'it runs an old configuration',
    sight: observed([view({ agent: agent({ configuration_md5: 'old' }) })]),
    expected: ['put_configuration'],
  },
  { name: 'HAProxy does not run', sight: observed([view({ agent: agent({ running: false }) })]), expected: ['put_configuration'] },
  { name: 'there is nothing to serve any more', sight: observed([view({ wanted: null })]), expected: ['delete_configuration'] },
  {
    name: 'its certificate is due',
    sight: observed([view({}, { cert_busy: true, status: 'ALLOCATED' })]),
    expected: ['renew_certificate'],
  },
  { name: 'all is done but the row', sight: observed([view()]), expected: ['allocate'] },
  {
    name: 'an instance belongs to no row',
    sight: observed([view({}, { status: 'ALLOCATED' })], { stray_instances: [instance(amphora())] }),
    expected: ['delete_instance'],
  },
  {
    name: 'the load balancer is to go',
    lb: { provisioning_status: 'PENDING_DELETE' },
    sight: observed([view()]),
    expected: ['delete_instance'],
  },
  {
    name: 'its instances are gone',
    lb: { provisioning_status: 'PENDING_DELETE' },
    sight: observed([view({ instances: [] }, { compute_id: null })]),
    expected: ['delete_port'],
  },
  {
    name: 'its ports are gone too',
    lb: { provisioning_status: 'PENDING_DELETE' },
    sight: observed([view({ instances: [], ports: [] }, { compute_id: null })]),
    expected: ['forget_amphora'],
  },
  { name: 'only the VIP is left', lb: { provisioning_status: 'PENDING_DELETE' }, sight: observed([]), expected: ['release_vip_port'] },
  { name: 'nothing is left', lb: { provisioning_status: 'PENDING_DELETE' }, sight: observed([], { vip_ports: [] }), expected: [] },
];

for (const { name, lb, sight, expected } of cases) {
  test(`plan when ${name}`, () => assert.deepEqual(next(tree(lb), sight), expected));
}

test('an amphora that serves is removed only when its replacement serves', () => {
  const old = view({}, { status: 'PENDING_DELETE' });
  const row = { id: sampleId('amphora', 2), status: 'ALLOCATED' } as const;
  const replacement = view({}, row);
  assert.deepEqual(next(tree(), observed([old])), ['insert_amphora']);
  assert.deepEqual(next(tree(), observed([old, view({ agent: null }, { ...row, status: 'BOOTING' })])), [
    'wait: Its agent does not answer yet.',
  ]);
  assert.deepEqual(next(tree(), observed([old, replacement])), ['delete_instance']);
  const broken = view({ instances: [instance(old.amphora, { status: 'ERROR' })] }, { status: 'PENDING_DELETE' });
  assert.deepEqual(next(tree(), observed([broken])), ['insert_amphora', 'delete_instance']);
});

test('a member on another network gets a port there, and the port goes with the member', () => {
  const far = samplePool({ members: [sampleMember(1, { subnet_id: 'far' })] });
  const subnets = new Map([
    [
      'far',
      {
        id: 'far',
        name: '',
        network_id: 'far-net',
        project_id: null,
        ip_version: 4,
        cidr: '10.0.0.0/24',
        gateway_ip: null,
        host_routes: [],
      } as const,
    ],
  ]);
  const near = view({}, { status: 'ALLOCATED' });
  assert.deepEqual(next(tree({}, [far]), observed([near], { subnets })), ['create_member_port']);
  const its = port('far-port', memberPortName(near.amphora.id), instanceName(near.amphora.id), {
    network_id: 'far-net',
    fixed_ips: [{ subnet_id: 'far', ip_address: '10.0.0.9' }],
  });
  const withPort = { ...near, ports: [...near.ports, its] };
  assert.deepEqual(next(tree({}, [far]), observed([withPort], { subnets })), ['attach_port']);
  const attached = { ...withPort, instances: [instance(near.amphora, { port_ids: ['vrrp', 'far-port'] })] };
  assert.deepEqual(next(tree({}, [far]), observed([attached], { subnets })), ['plug_network']);
  const gone = samplePool({ members: [sampleMember(1, { subnet_id: 'far', provisioning_status: 'PENDING_DELETE' })] });
  assert.deepEqual(next(tree({}, [gone]), observed([attached], { subnets })), ['delete_port']);
});
