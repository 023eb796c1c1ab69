import assert from 'node:assert/strict';
import test from 'node:test';
import type { Instance } from '../../cloud/compute.ts';
import type { Port } from '../../cloud/network.ts';
import { Secret } from '../../lib/secret.ts';
import type { Amphora, LoadBalancer, LoadBalancerTree } from '../../model/index.ts';
import type { ObservedAgent } from './agent-client.ts';
import {
  type AmphoraView,
  instanceName,
  memberPortName,
  type Observed,
  type WantedFile,
  vipDevice,
  vipPortName,
  vrrpPortName,
} from './observed.ts';
import { plan } from './plan.ts';
import type { AmphoraStep } from './steps.ts';
import { sampleAmphora, sampleId, sampleMember, samplePool, sampleTree } from '../../../test/support/sample-trees.ts';

const now_ms = 1_000_000;
const lb_id = sampleId('loadbalancer');
const wanted = { text: 'new', md5: 'new', owners: [], lists: [], crt_lists: {}, tls_files: new Map(), frontends: 1 };

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
  datagram_md5: null,
  running: true,
  plugged: [{ mac_address: vrrp(amphora()).mac_address.toUpperCase(), addresses: ['198.51.100.20', '198.51.100.10'] }],
  maxconn_limit: null,
  ping_command: null,
  lists: null,
  boot_id: null,
  base_path: '/b',
  run_path: '/r',
  cert_path: null,
  tls_files: new Map(),
  ...change,
});

/** All that an amphora needs is there, unless a test changes it. */
const view = (change: Partial<AmphoraView> = {}, row: Partial<Amphora> = {}): AmphoraView => {
  const it = amphora(row);
  return { amphora: it, instances: [instance(it)], ports: [vrrp(it)], agent: agent(), wanted, wanted_datagram: null, ...change };
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
  return steps.length > 0 ? steps.map(told) : wait ? [`wait: ${wait.reason}`] : [];
};

/** A step by its name and the files that it is about. */
const told = (step: AmphoraStep): string => {
  const files = step.step === 'put_configuration' ? step.missing_files : step.step === 'delete_tls_files' ? step.names : [];
  return [step.step, ...files].join(' ');
};

const file: WantedFile = { md5: 'md5', content: new Secret('content') };

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
  {
    name: 'it lacks a certificate that the configuration names',
    sight: observed([view({ wanted: { ...wanted, tls_files: new Map([['a.pem', file]]) } })]),
    expected: ['put_configuration a.pem'],
  },
  {
    name: 'a certificate is damaged',
    sight: observed([
      view({ agent: agent({ tls_files: new Map([['a.pem', 'other']]) }), wanted: { ...wanted, tls_files: new Map([['a.pem', file]]) } }),
    ]),
    expected: ['put_configuration a.pem'],
  },
  {
    name: 'it has certificates that nothing names, and another configuration to run first',
    sight: observed([view({ agent: agent({ configuration_md5: 'old', tls_files: new Map([['a.pem', 'md5']]) }) })]),
    expected: ['put_configuration'],
  },
  {
    name: 'it has certificates that nothing names',
    sight: observed([
      view({
        agent: agent({
          tls_files: new Map([
            ['a.pem', 'md5'],
            ['b.pem', 'md5'],
          ]),
        }),
        wanted: { ...wanted, tls_files: new Map([['a.pem', file]]) },
      }),
    ]),
    expected: ['delete_tls_files b.pem'],
  },
  {
    name: 'there is nothing to serve any more, and the configuration is gone, but a certificate is left',
    sight: observed([
      view({ wanted: null, agent: agent({ configuration_md5: null, running: false, tls_files: new Map([['a.pem', 'md5']]) }) }),
    ]),
    expected: ['delete_configuration'],
  },
  {
    name: 'it passes on no datagrams yet',
    sight: observed([view({ wanted_datagram: { text: '{}', md5: 'd', lvs: null } })]),
    expected: ['put_datagram'],
  },
  {
    name: 'it passes on what it should',
    sight: observed([
      view({ wanted_datagram: { text: '{}', md5: 'd', lvs: null }, agent: agent({ datagram_md5: 'd' }) }, { status: 'ALLOCATED' }),
    ]),
    expected: [],
  },
  {
    name: 'it passes on what nobody wants any more',
    sight: observed([view({ agent: agent({ datagram_md5: 'd' }) })]),
    expected: ['put_datagram'],
  },
  { name: 'there is nothing to serve any more', sight: observed([view({ wanted: null })]), expected: ['delete_configuration'] },
  {
    name: 'its certificate is due',
    sight: observed([view({}, { cert_busy: true, status: 'ALLOCATED' })]),
    expected: ['renew_certificate'],
  },
  {
    name: 'its agent is to be configured anew',
    sight: observed([view({}, { config_due: true, cert_busy: true, status: 'ALLOCATED' })]),
    expected: ['configure_agent'],
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

test('ports follow the groups and the policy of the load balancer, but a port of the user, and what he gave ours himself, stay', () => {
  const its = tree({ vip_sg_ids: ['group'], vip_port_owned: true });
  assert.deepEqual(next(its, observed([view()])), ['update_port', 'update_port']);
  assert.deepEqual(next(tree({ vip_qos_policy_id: 'policy', vip_port_owned: false }), observed([view()])), ['update_port']);
  const has = { security_groups: ['group'] };
  const sight = (amphora_port: Partial<Port>, vip_port: Partial<Port>): Observed => {
    const seen = view({ ports: [{ ...vrrp(amphora()), ...amphora_port }] });
    return observed([seen], { vip_ports: [port('vip', vipPortName(lb_id), vipDevice(lb_id), vip_port)] });
  };
  const done = next(its, sight(has, has));
  assert.ok(!done.includes('update_port'), done.join());
  assert.deepEqual(next(tree({ vip_port_owned: true }), sight(has, has)), ['update_port', 'update_port']);
  assert.ok(!next(tree({ vip_port_owned: true }), sight({}, has)).includes('update_port'));
  // One of two amphorae's ports tells it as well.
  const other = view({ ports: [vrrp(amphora({ id: sampleId('amphora', 2) }))] }, { id: sampleId('amphora', 2) });
  const [one] = sight(has, has).amphorae;
  const both = observed(one === undefined ? [] : [one, other], { vip_ports: sight(has, has).vip_ports });
  assert.equal(next(tree({ vip_port_owned: true }), both).filter((step) => step === 'update_port').length, 2);
});

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

const second = { id: sampleId('amphora', 2) } as const;

test('a pair counts as serving only when both serve', () => {
  const old = view({}, { id: sampleId('amphora', 3), status: 'PENDING_DELETE', role: 'STANDALONE' });
  const pair = { topology: 'ACTIVE_STANDBY' } as const;
  const master = view({}, { role: 'MASTER', status: 'ALLOCATED' });
  const booting = view({ agent: null }, { ...second, role: 'BACKUP' });
  assert.deepEqual(next(tree(pair), observed([old, master, booting])), ['wait: Its agent does not answer yet.']);
  const backup = view({}, { ...second, role: 'BACKUP', status: 'ALLOCATED' });
  assert.deepEqual(next(tree(pair), observed([old, master, backup])), ['delete_instance']);
});

test('one that serves beside a duplicate of its instance is kept as well', () => {
  const it = amphora({ status: 'PENDING_DELETE' });
  const old = view({ instances: [instance(it, { compute_id: 'vm-0', status: 'BUILD' }), instance(it)] }, { status: 'PENDING_DELETE' });
  assert.deepEqual(next(tree(), observed([old])), ['insert_amphora']);
});

test('of two waits the sooner one counts', () => {
  const pair = tree({ topology: 'ACTIVE_STANDBY' });
  const long = view({ agent: null }, { role: 'MASTER', boot_started_ms: now_ms - 40_000 });
  const short = view({ agent: null }, { ...second, role: 'BACKUP', boot_started_ms: now_ms - 80 });
  for (const amphorae of [
    [long, short],
    [short, long],
  ])
    assert.equal(plan(pair, observed(amphorae)).wait?.until_ms, now_ms + 10);
});

test("the VIP's port is deleted when it is ours, given back when it is the user's", () => {
  const removed = (lb: Partial<LoadBalancer>, vip_ports: readonly Port[]) =>
    plan(tree({ provisioning_status: 'PENDING_DELETE', ...lb }), observed([], { vip_ports })).steps.map((step) => [
      step.step,
      'owned' in step && step.owned,
    ]);
  const ours = port('vip', vipPortName(lb_id), vipDevice(lb_id));
  const users = port('vip', 'mine', vipDevice(lb_id));
  assert.deepEqual(removed({ vip_port_owned: true }, [ours]), [['release_vip_port', true]]);
  assert.deepEqual(removed({ vip_port_owned: false }, [users]), [['release_vip_port', false]]);
  const stray = port('stray', vipPortName(lb_id), vipDevice(lb_id));
  assert.deepEqual(removed({ vip_port_owned: false }, [users, stray]), [
    ['release_vip_port', false],
    ['release_vip_port', true],
  ]);
});

test('duplicates go whatever else the amphora waits for or lacks', () => {
  const it = amphora();
  const extra = instance(it, { compute_id: 'vm-2' });
  const twice = (first: Partial<Instance>, row: Partial<Amphora> = {}, change: Partial<AmphoraView> = {}) =>
    next(tree(), observed([view({ instances: [instance(it, first), extra], ...change }, row)]));
  assert.deepEqual(twice({ status: 'ERROR' }), ['delete_instance', 'condemn']);
  assert.deepEqual(twice({ status: 'BUILD' }), ['delete_instance']);
  assert.deepEqual(twice({ lb_network_ip: '192.0.2.99' }), ['delete_instance', 'record_instance']);
  assert.deepEqual(twice({ compute_id: 'vm-3' }, {}, { ports: [] }), ['delete_instance', 'delete_instance', 'create_vrrp_port']);
  assert.deepEqual(twice({ compute_id: 'vm-3' }, { boot_started_ms: 0 }), ['delete_instance', 'delete_instance', 'condemn']);
});

test('the port is made while the instance is built, not listed yet, or not recorded', () => {
  const unrecorded = view({ ports: [] }, { compute_id: null });
  assert.deepEqual(next(tree(), observed([unrecorded])), ['create_vrrp_port', 'record_instance']);
  const building = view({ instances: [instance(amphora(), { status: 'BUILD' })], ports: [], agent: null });
  assert.deepEqual(next(tree(), observed([building])), ['create_vrrp_port']);
  const unlisted = view({ instances: [], ports: [], agent: null });
  assert.deepEqual(next(tree(), observed([unlisted])), ['create_vrrp_port']);
});

test('a VIP is plugged when an address is missing; in a pair keepalived moves the VIPs', () => {
  const mac_address = vrrp(amphora()).mac_address;
  const half = agent({ plugged: [{ mac_address, addresses: ['198.51.100.20'] }] });
  const other = agent({ plugged: [{ mac_address, addresses: ['198.51.100.10'] }] });
  assert.deepEqual(next(tree(), observed([view({ agent: half })])), ['plug_vip']);
  assert.deepEqual(next(tree(), observed([view({ agent: other })])), ['plug_vip']);
  // The port keeps places on the subnets of additional VIPs, too, which the agent is not told of.
  const mine = vrrp(amphora());
  const [first] = mine.fixed_ips;
  const vip = { subnet_id: 'other', ip_address: '2001:db8::10', port_id: null, network_id: null };
  const dual = tree({ vip_subnet_id: first?.subnet_id ?? null, additional_vips: [vip] });
  const ports = [{ ...mine, fixed_ips: [...mine.fixed_ips, { subnet_id: 'other', ip_address: '2001:db8::20' }] }];
  const having = (...addresses: string[]) => view({ ports, agent: agent({ plugged: [{ mac_address, addresses }] }) });
  assert.deepEqual(next(dual, observed([having('198.51.100.20', '198.51.100.10')])), ['plug_vip'], 'an additional VIP');
  assert.deepEqual(next(dual, observed([having('198.51.100.20', '198.51.100.10', '2001:db8::10')])), ['allocate']);
  const pair = tree({ topology: 'ACTIVE_STANDBY' });
  const both = (state: ObservedAgent) => [
    view({ agent: state }, { role: 'MASTER' }),
    view({ agent: state }, { ...second, role: 'BACKUP' }),
  ];
  const backup = (state: ObservedAgent) =>
    both(state).map((each) => ({ ...each, ports: [vrrp(each.amphora)], instances: [instance(each.amphora)] }));
  assert.deepEqual(next(pair, observed(backup(half))), ['allocate', 'allocate']);
  assert.deepEqual(next(pair, observed(backup(other))), ['plug_vip', 'plug_vip']);
});

test('what runs without being wanted is stopped, and what is held without running is removed', () => {
  assert.deepEqual(next(tree(), observed([view({ wanted: null, agent: agent({ configuration_md5: null }) })])), ['delete_configuration']);
  assert.deepEqual(next(tree(), observed([view({ wanted: null, agent: agent({ running: false }) })])), ['delete_configuration']);
  assert.deepEqual(next(tree(), observed([view({ wanted: null, agent: agent({ running: false, configuration_md5: null }) })])), [
    'allocate',
  ]);
});

test('a port towards members is made anew when their subnets change, or one of them asks for another kind of port', () => {
  const subnet = (id: string) =>
    [
      id,
      { id, name: '', network_id: 'far-net', project_id: null, ip_version: 4, cidr: '10.0.0.0/24', gateway_ip: null, host_routes: [] },
    ] as const;
  const subnets = new Map([subnet('far'), subnet('near'), subnet('third')]);
  const pool = samplePool({ members: [sampleMember(1, { subnet_id: 'far' }), sampleMember(2, { subnet_id: 'near' })] });
  const direct = samplePool({
    members: [sampleMember(1, { subnet_id: 'far', vnic_type: 'direct' }), sampleMember(2, { subnet_id: 'near' })],
  });
  const it = view({}, { status: 'ALLOCATED' });
  const has = (...subnet_ids: string[]) => having({}, pool, ...subnet_ids);
  const having = (kind: Partial<Port>, wanted: typeof pool, ...subnet_ids: string[]) => {
    const fixed_ips = subnet_ids.map((subnet_id) => ({ subnet_id, ip_address: '10.0.0.9' }));
    const its = port('far-port', memberPortName(it.amphora.id), instanceName(it.amphora.id), { network_id: 'far-net', fixed_ips, ...kind });
    return next(
      tree({}, [wanted]),
      observed([{ ...it, ports: [...it.ports, its], instances: [instance(it.amphora, { port_ids: ['vrrp', 'far-port'] })] }], { subnets }),
    );
  };
  assert.deepEqual(has('near', 'far'), ['plug_network']);
  assert.deepEqual(has('far'), ['delete_port', 'create_member_port']);
  assert.deepEqual(has('far', 'third'), ['delete_port', 'create_member_port']);
  assert.deepEqual(having({ vnic_type: 'direct' }, direct, 'near', 'far'), ['plug_network']);
  assert.deepEqual(having({}, direct, 'near', 'far'), ['delete_port', 'create_member_port']);
  assert.deepEqual(having({ vnic_type: 'direct' }, pool, 'near', 'far'), ['delete_port', 'create_member_port']);
});
