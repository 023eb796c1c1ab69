/**
 * What is missing now: the one place where order lives. A step is planned only when all that it needs is there, so
 * create, update, delete, failover, repair after a crash and certificate rotation are one function without history.
 */
import type { Amphora, LoadBalancerTree } from '../../model/index.ts';
import type { Plan, Wait } from '../provider.ts';
import { type AmphoraView, type Observed, vipPortName, vrrpPortName } from './observed.ts';
import { differingPort, planAmphora, type Progress } from './plan-amphora.ts';
import type { AmphoraStep } from './steps.ts';

/** Pure: the same tree and the same sight give the same plan. */
export function plan(tree: LoadBalancerTree, observed: Observed): Plan<AmphoraStep> {
  const lb = tree.loadbalancer;
  if (lb.provisioning_status === 'DELETED') return { steps: [], wait: null };
  if (lb.provisioning_status === 'PENDING_DELETE') return planRemoval(tree, observed);

  if (lb.vip_address === null || !observed.vip_ports.some((port) => port.id === lb.vip_port_id)) {
    return {
      steps: [{ step: 'create_vip_port', owner: { type: 'loadbalancer', id: lb.id } }, ...removeStrays(tree, observed)],
      wait: null,
    };
  }
  const wanted = observed.amphorae.filter((view) => isWanted(view.amphora));
  const progress = wanted.map((view) => planAmphora(tree, observed, view));
  const isServed = missingRoles(tree, wanted).length === 0 && progress.every((each) => each.isServing);
  const steps = [
    ...differingVipPort(tree, observed),
    ...insertMissing(tree, observed, wanted),
    ...progress.flatMap((each) => each.steps),
    ...observed.amphorae.filter((view) => !isWanted(view.amphora) && (isServed || !canServe(view))).flatMap((view) => removeAmphora(view)),
    ...removeStrays(tree, observed),
  ];
  return { steps, wait: steps.length > 0 ? null : soonest(progress) };
}

/** Rows that count towards the topology; ERROR and PENDING_DELETE are to be replaced. */
const isWanted = (amphora: Amphora): boolean =>
  amphora.status !== 'PENDING_DELETE' && amphora.status !== 'ERROR' && amphora.status !== 'DELETED';

/** May traffic flow through it, so that it is removed only once its replacement serves? */
const canServe = (view: AmphoraView): boolean =>
  view.amphora.vrrp_port_id !== null &&
  view.instances.some((instance) => instance.status === 'ACTIVE' && instance.compute_id === view.amphora.compute_id);

const missingRoles = (tree: LoadBalancerTree, wanted: readonly AmphoraView[]): NonNullable<Amphora['role']>[] => {
  const roles = tree.loadbalancer.topology === 'ACTIVE_STANDBY' ? (['MASTER', 'BACKUP'] as const) : (['STANDALONE'] as const);
  return roles.filter((role) => !wanted.some((view) => view.amphora.role === role));
};

function insertMissing(tree: LoadBalancerTree, observed: Observed, wanted: readonly AmphoraView[]): AmphoraStep[] {
  return missingRoles(tree, wanted).map((role, index) => {
    const amphora_id = observed.new_ids[index] as string;
    return { step: 'insert_amphora', owner: { type: 'loadbalancer', id: tree.loadbalancer.id }, amphora_id, role };
  });
}

/**
 * A VIP port that the user brought stays as the user made it. On ours, too, what the user gave the port itself stays as long as the
 * load balancer never named groups or a policy, which the amphorae's ports tell.
 */
function differingVipPort({ loadbalancer: lb }: LoadBalancerTree, observed: Observed): AmphoraStep[] {
  const vrrp = observed.amphorae.flatMap((view) => view.ports.filter((port) => port.name === vrrpPortName(view.amphora.id)));
  const isNamed =
    lb.vip_sg_ids.length > 0 ||
    lb.vip_qos_policy_id !== null ||
    vrrp.some((port) => port.security_groups.length > 0 || port.qos_policy_id !== null);
  const port = observed.vip_ports.find((each) => each.id === lb.vip_port_id);
  return lb.vip_port_owned && isNamed ? differingPort(lb, { type: 'loadbalancer', id: lb.id }, port) : [];
}

/** Instances first, then ports (a port in use cannot go in every cloud), then the row. */
function removeAmphora(view: AmphoraView): AmphoraStep[] {
  const { amphora } = view;
  const owner = { type: 'amphora', id: amphora.id } as const;
  const doomed = new Set(view.instances.map((instance) => instance.compute_id));
  // Recorded but not listed: it may be listed late, so it is deleted by its id once; the step then clears the record.
  if (amphora.compute_id !== null) doomed.add(amphora.compute_id);
  if (doomed.size > 0) return [...doomed].map((compute_id) => ({ step: 'delete_instance', owner, compute_id, amphora_id: amphora.id }));
  if (view.ports.length > 0) return view.ports.map((port) => ({ step: 'delete_port', owner, port_id: port.id, compute_id: null }));
  return [{ step: 'forget_amphora', owner, amphora_id: amphora.id }];
}

function removeStrays(tree: LoadBalancerTree, observed: Observed): AmphoraStep[] {
  const owner = { type: 'loadbalancer', id: tree.loadbalancer.id } as const;
  return observed.stray_instances.map((instance) => ({
    step: 'delete_instance',
    owner,
    compute_id: instance.compute_id,
    amphora_id: null,
  }));
}

function planRemoval(tree: LoadBalancerTree, observed: Observed): Plan<AmphoraStep> {
  const amphorae = [...observed.amphorae.flatMap(removeAmphora), ...removeStrays(tree, observed)];
  if (amphorae.length > 0) return { steps: amphorae, wait: null };
  const lb = tree.loadbalancer;
  const owner = { type: 'loadbalancer', id: lb.id } as const;
  const steps = observed.vip_ports.map((port): AmphoraStep => {
    const owned = port.id === lb.vip_port_id ? lb.vip_port_owned : port.name === vipPortName(lb.id);
    return { step: 'release_vip_port', owner, port_id: port.id, owned };
  });
  return { steps, wait: null };
}

const soonest = (progress: readonly Progress[]): Wait | null =>
  progress.reduce<Wait | null>(
    (first, each) => (each.wait && (first === null || each.wait.until_ms < first.until_ms) ? each.wait : first),
    null,
  );
