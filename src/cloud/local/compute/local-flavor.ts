/** Compute flavors of this machine: they need not be made, because each says what it is, such as `cpu=1.5,memory=1024,processes=512`. */
import type { InstanceWish } from '../../compute.ts';
import type { InstanceLimits } from './cgroups.ts';

/** The one zone that a machine is. */
export const LOCAL_ZONE = 'local';

/** What each word of a flavor limits, and in which unit. */
const words: Readonly<Record<string, (amount: number) => Partial<InstanceLimits>>> = {
  /** Processors; fractions count. */
  cpu: (amount) => ({ cpu_percent: amount === 0 ? null : Math.max(1, Math.round(amount * 100)) }),
  /** MiB. */
  memory: (amount) => ({ memory_bytes: amount === 0 ? null : Math.round(amount * 2 ** 20) }),
  /** Processes and threads. */
  processes: (amount) => ({ pids: amount === 0 ? null : Math.round(amount) }),
};

/** An agent and HAProxy alone need this much: with less an amphora would die again and again. */
const least: Readonly<Record<string, number>> = { cpu: 0.01, memory: 64, processes: 32 };

const form = 'cpu=<processors>,memory=<MiB>,processes=<number>; what is left out is as configured, 0 is without limit';

/** The limits that a flavor sets; what it leaves out is as in `defaults`, 0 is no limit. Null: it is no flavor of this machine. */
export function limitsOfFlavor(compute_flavor: string | null, defaults: InstanceLimits): InstanceLimits | null {
  if (compute_flavor === null || compute_flavor === '') return defaults;
  let limits = defaults;
  const seen = new Set<string>();
  for (const part of compute_flavor.split(',')) {
    const [, word = '', text = ''] = /^\s*([a-z]+)\s*=\s*(\d{1,9}(?:\.\d{1,3})?)\s*$/u.exec(part) ?? [];
    const read = Object.hasOwn(words, word) ? words[word] : undefined;
    const amount = Number(text);
    if (read === undefined || seen.has(word) || (amount > 0 && amount < (least[word] ?? 0))) return null;
    seen.add(word);
    limits = { ...limits, ...read(amount) };
  }
  return limits;
}

/** Why this machine cannot make such an instance; null: it can. */
export function refusalOfWish(wish: InstanceWish, defaults: InstanceLimits, management_network_id: string | null): string | null {
  if (limitsOfFlavor(wish.compute_flavor ?? null, defaults) === null)
    return `compute_flavor '${wish.compute_flavor}' is not of the form ${form}. At least ${least['memory']} MiB and ${least['processes']} processes are needed.`;
  if (wish.image_tag) return 'Amphorae of this machine are not made of images: leave amp_image_tag out.';
  if (wish.availability_zone && wish.availability_zone !== LOCAL_ZONE)
    return `compute_zone '${wish.availability_zone}' does not exist: this machine is one zone, named ${LOCAL_ZONE}.`;
  if (wish.volume_zone) return 'Amphorae of this machine have no volumes: leave volume_zone out.';
  if (wish.vnic_type === 'direct') return 'Ports of this machine are not virtual functions of a network card (SR-IOV).';
  const other = wish.network_ids?.find((id) => id !== management_network_id);
  return other === undefined
    ? null
    : `Network ${other} cannot be the management network: on this machine that is ${management_network_id}.`;
}
