/** Which of the silent amphorae are replaced now. Pure. */
import type { Silence, SilentAmphora } from '../db/health.ts';

/** Why nothing is replaced although amphorae are silent. */
export type Hold =
  | { readonly why: 'threshold'; readonly silent: number; readonly limit: number }
  | { readonly why: 'together'; readonly zone: string | null; readonly silent: number; readonly amphorae: number };

/** The amphorae to replace now, the most urgent first, and what is held back. */
export type Choice = { readonly condemned: readonly SilentAmphora[]; readonly holds: readonly Hold[] };

/** Up to so many that fall silent together are never a reason to hold: three amphorae die without a common cause. */
export const alwaysReplaceable = 3;

/** The part of a zone that must not fall silent together. */
const tooLargePart = 0.5;

/**
 * Silence has two causes that look the same from here: the amphora is dead, or it cannot be heard. Many at once are
 * almost always the second (a switch, a management network, a wrong key), and replacing them would turn a loss of sight
 * into a loss of service. So nothing is replaced while `failover_threshold` or more are silent, and nothing of a zone of
 * which more than half (and more than three) are. Otherwise at most `failover_threads` are being rebuilt at any time.
 */
export function chooseCondemned(
  seen: Pick<Silence, 'silent' | 'zones' | 'rebuilding'>,
  limits: { readonly failover_threads: number; readonly failover_threshold: number | null },
): Choice {
  const { silent } = seen;
  if (silent.length === 0) return { condemned: [], holds: [] };
  if (limits.failover_threshold !== null && silent.length >= limits.failover_threshold) {
    return { condemned: [], holds: [{ why: 'threshold', silent: silent.length, limit: limits.failover_threshold }] };
  }
  const amphoraeOf = new Map(seen.zones.map((zone) => [zone.cached_zone, zone.amphorae]));
  const holds: Hold[] = [];
  for (const [zone, group] of Map.groupBy(silent, (each) => each.cached_zone)) {
    const amphorae = Math.max(group.length, amphoraeOf.get(zone) ?? 0);
    if (group.length > Math.max(alwaysReplaceable, amphorae * tooLargePart)) {
      holds.push({ why: 'together', zone, silent: group.length, amphorae });
    }
  }
  const held = new Set(holds.map((hold) => (hold.why === 'together' ? hold.zone : null)));
  const free = holds.length === 0 ? silent : silent.filter((each) => !held.has(each.cached_zone));
  const mutable = free.filter((each) => each.provisioning_status === 'ACTIVE' || each.provisioning_status === 'ERROR');
  return { condemned: mutable.slice(0, Math.max(0, limits.failover_threads - seen.rebuilding)), holds };
}
